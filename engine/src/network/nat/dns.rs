//! The host's name servers, as /etc/resolv.conf says; looked at again when it changes.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// How often the file is looked at.
const PATIENCE: Duration = Duration::from_secs(1);
/// The port of name servers.
pub(super) const PORT: u16 = 53;

/// Where the host's name servers are written down.
#[derive(Debug, Clone)]
pub struct ResolverFile {
    /// The file, in the format of resolv.conf(5).
    pub path: PathBuf,
    /// The port that they answer at.
    pub port: u16,
}

impl Default for ResolverFile {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/etc/resolv.conf"),
            port: PORT,
        }
    }
}

/// The host's name servers as they are now.
pub(super) struct Resolver {
    file: ResolverFile,
    /// Asked instead of those in the file.
    fixed: bool,
    servers: Vec<SocketAddr>,
    looked: Option<Instant>,
    version: Option<(SystemTime, u64)>,
}

impl Resolver {
    /// Those of `file`, or the `fixed` ones, if there are any.
    pub fn new(file: ResolverFile, fixed: &[IpAddr]) -> Self {
        Self {
            fixed: !fixed.is_empty(),
            servers: fixed
                .iter()
                .map(|address| SocketAddr::new(*address, file.port))
                .collect(),
            file,
            looked: None,
            version: None,
        }
    }

    /// The name servers, in the order they are to be asked.
    pub fn servers(&mut self, now: Instant) -> &[SocketAddr] {
        let due = self
            .looked
            .is_none_or(|looked| now.duration_since(looked) >= PATIENCE);
        if due && !self.fixed {
            self.looked = Some(now);
            let version = fs::metadata(&self.file.path)
                .and_then(|metadata| Ok((metadata.modified()?, metadata.len())))
                .ok();
            if version != self.version || version.is_none() {
                self.version = version;
                self.servers = fs::read_to_string(&self.file.path)
                    .map(|text| parse(&text, self.file.port))
                    .unwrap_or_default();
            }
        }
        &self.servers
    }
}

fn parse(text: &str, port: u16) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next()? == "nameserver").then_some(())?;
            let address: IpAddr = words.next()?.parse().ok()?;
            Some(SocketAddr::new(address, port))
        })
        .take(8)
        .collect()
}

/// The answer to `question` that the server failed: what clients hear when the host has no name server.
pub(super) fn failure(question: &[u8]) -> Option<Vec<u8>> {
    let mut answer = question.to_vec();
    let [flags, code] = answer.get_mut(2..4)? else {
        return None;
    };
    *flags |= 0x80;
    *code = 0x82;
    (question.len() >= 12).then_some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let file = || ResolverFile {
            path: path.clone(),
            port: 53,
        };
        let mut resolver = Resolver::new(file(), &[]);
        let now = Instant::now();
        assert!(resolver.servers(now).is_empty());
        fs::write(&path, "# of the office\nsearch example.org\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n").unwrap();
        assert!(
            resolver.servers(now).is_empty(),
            "not looked at twice a second"
        );
        assert_eq!(
            resolver.servers(now + PATIENCE),
            [
                "192.0.2.1:53".parse().unwrap(),
                "[2001:db8::1]:53".parse().unwrap()
            ]
        );
        fs::write(&path, "nameserver 192.0.2.2\n").unwrap();
        assert_eq!(
            resolver.servers(now + 2 * PATIENCE),
            ["192.0.2.2:53".parse().unwrap()]
        );
        let mut fixed = Resolver::new(file(), &["192.0.2.9".parse().unwrap()]);
        assert_eq!(fixed.servers(now), ["192.0.2.9:53".parse().unwrap()]);
    }

    #[test]
    fn a_failure_answers_the_question() {
        let question = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            failure(&question),
            Some(vec![0x12, 0x34, 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0])
        );
        assert_eq!(failure(&question[..11]), None);
        assert_eq!(failure(&[]), None);
    }
}
