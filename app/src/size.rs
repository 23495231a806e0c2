//! Sizes as people write them: 20G, 512M, 1.5T.

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a size; write a number with M, G or T (MiB, GiB, TiB) after it, such as 20G"
)]
pub struct NotASize {
    text: String,
}

/// The number of bytes that `text` says: a number with K, M, G or T after it (and perhaps "iB" or "B"), in steps of 1024.
///
/// # Errors
/// When it says none, or more than can be counted.
pub fn parse(text: &str) -> Result<u64, NotASize> {
    let error = || NotASize {
        text: text.to_owned(),
    };
    let trimmed = text.trim();
    let digits = trimmed
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let shift = match unit.trim().to_ascii_uppercase().as_str() {
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(error()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 3 || (whole.is_empty() && fraction.is_empty()) {
        return Err(error());
    }
    let thousandths: u64 = format!("{:0<3}", fraction).parse().map_err(|_| error())?;
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| error())?
    };
    let unit = 1_u64 << shift;
    whole
        .checked_mul(unit)
        .and_then(|bytes| {
            bytes.checked_add(unit / 1000 * thousandths + unit % 1000 * thousandths / 1000)
        })
        .ok_or_else(error)
}

/// Bytes as people read them: "1.5 GiB".
pub fn show(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..0x10_0000 => return format!("{} KiB", bytes.div_ceil(1024)),
        0x10_0000..0x4000_0000 => (1_u64 << 20, "MiB"),
        0x4000_0000..0x100_0000_0000 => (1 << 30, "GiB"),
        _ => (1 << 40, "TiB"),
    };
    let tenths = bytes / unit * 10 + bytes % unit * 10 / unit;
    if tenths.is_multiple_of(10) {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse("20G"), Ok(20 << 30));
        assert_eq!(parse(" 512 MiB "), Ok(512 << 20));
        assert_eq!(parse("1.5g"), Ok((3 << 30) / 2));
        assert_eq!(parse("0.25T"), Ok(256 << 30));
        for wrong in [
            "",
            "G",
            "20",
            "-1G",
            "1e3G",
            "1.2345G",
            "99999999999T",
            "20X",
            ".",
            "1.2.3G",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_shown() {
        assert_eq!(show(20 << 30), "20 GiB");
        assert_eq!(show(3 << 29), "1.5 GiB");
        assert_eq!(show(1), "1 KiB");
        assert_eq!(show(u64::MAX), "16777215.9 TiB");
    }
}
