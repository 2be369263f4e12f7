//! The slot of a key in a Redis Cluster: CRC16 of the key, or of what stands between its first `{` and
//! the next `}` if that is not empty, modulo 16,384.

const SLOTS: u16 = 16_384;

/// The slot of a key.
pub fn of(key: &[u8]) -> u16 {
    crc16(tag(key)) % SLOTS
}

fn tag(key: &[u8]) -> &[u8] {
    let inside = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|&byte| byte == b'}').map(|close| &rest[..close])
    });
    inside.filter(|inside| !inside.is_empty()).unwrap_or(key)
}

/// CRC-16/XMODEM, bit by bit: a slot is asked for when a space is configured, not when it works.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| crc << 1 ^ if crc >> 15 == 1 { 0x1021 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the cluster specification.
    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!((of(b"foo"), of(b"bar"), of(b"")), (12_182, 5_061, 0));
        assert_eq!(of(b"{user1000}.following"), of(b"{user1000}.followers"));
        assert_eq!(of(b"{user1000}.following"), of(b"user1000"));
        assert_eq!(of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(of(b"foo{{bar}}zap"), of(b"{bar"));
        assert_eq!(of(b"foo{bar}{zap}"), of(b"bar"));
        assert_eq!(of(b"foo{bar"), crc16(b"foo{bar") % SLOTS);
    }
}
