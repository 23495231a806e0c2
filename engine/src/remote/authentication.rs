//! VNC authentication (RFC 6143, section 7.2.2): the client encrypts a random challenge with the password as DES key.
//!
//! It keeps out the curious on a network that is trusted otherwise, and nobody else: the key has 56 bits, only the first eight
//! bytes of the password count, and what follows is not encrypted.

use std::io::{self, Read};

use des::{
    Des,
    cipher::{BlockCipherEncrypt, KeyInit},
};

/// A fresh challenge.
pub fn challenge() -> io::Result<[u8; 16]> {
    let mut challenge = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut challenge)?;
    Ok(challenge)
}

/// What a client that knows `password` answers to `challenge`.
pub fn response(password: &str, challenge: [u8; 16]) -> [u8; 16] {
    let mut key = [0; 8];
    for (place, byte) in key.iter_mut().zip(password.bytes()) {
        // The protocol puts each byte's lowest bit first, where DES has the highest.
        *place = byte.reverse_bits();
    }
    let cipher = Des::new(&key.into());
    let mut response = challenge;
    for block in response.as_chunks_mut::<8>().0 {
        let mut encrypted = (*block).into();
        cipher.encrypt_block(&mut encrypted);
        *block = encrypted.into();
    }
    response
}

/// Whether `given` answers `challenge`; takes the same time for every wrong answer.
pub fn accepted(password: &str, challenge: [u8; 16], given: [u8; 16]) -> bool {
    let difference = response(password, challenge)
        .iter()
        .zip(given)
        .fold(0, |difference, (right, given)| difference | (right ^ given));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_answer() {
        // DES of eight zero bytes with the key of the same (FIPS 46-3 known answer): 8ca64de9c1b123a7.
        let zero = 0x8ca6_4de9_c1b1_23a7_u64.to_be_bytes();
        assert_eq!(response("", [0; 16]), [zero, zero].concat().as_slice());
        // Key 80 00 00 00 00 00 00 00 (the password's byte 0x01, mirrored) is 95a8d72813daa94d.
        let mirrored = 0x95a8_d728_13da_a94d_u64.to_be_bytes();
        assert_eq!(
            response("\u{1}", [0; 16]),
            [mirrored, mirrored].concat().as_slice()
        );
    }

    #[test]
    fn only_the_right_password_answers() {
        let challenge = challenge().unwrap();
        assert_ne!(challenge, super::challenge().unwrap());
        assert!(accepted("secret", challenge, response("secret", challenge)));
        assert!(!accepted(
            "secret",
            challenge,
            response("Secret", challenge)
        ));
        assert!(!accepted("secret", challenge, challenge));
        assert!(!accepted("secret", challenge, [0; 16]));
        // The protocol knows eight bytes.
        assert!(accepted(
            "12345678x",
            challenge,
            response("12345678", challenge)
        ));
    }
}
