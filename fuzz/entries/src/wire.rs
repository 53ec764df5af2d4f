//! A message of a foreign peer on the daemon's socket: its first byte says how many descriptors ride on it (the two
//! lowest bits) and whether the rest is a message (then the length is put before it) or raw bytes (bit 6).

use berth_cni::contract::MAX_FRAME;

/// Bit of the first byte: what follows is sent as it is.
const RAW: u8 = 0x40;

/// What a peer sends.
pub(crate) struct Sent {
    /// All bytes, the length included.
    pub bytes: Vec<u8>,
    /// 0 to 3.
    pub descriptors: usize,
}

impl Sent {
    pub(crate) fn read(data: &[u8]) -> Self {
        let (first, rest) = data.split_first().unwrap_or((&b'0', &[]));
        let mut bytes = Vec::new();
        if first & RAW == 0 {
            let length = u32::try_from(rest.len()).unwrap_or(u32::MAX);
            bytes.extend(length.to_be_bytes());
        }
        bytes.extend(rest);
        Self {
            bytes,
            descriptors: usize::from(first & 3),
        }
    }

    /// The message that the bytes begin with, if all of it is there and it may be so large.
    pub(crate) fn message(&self) -> Option<&[u8]> {
        let (length, rest) = self.bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        rest.get(..length).filter(|_| length <= MAX_FRAME)
    }
}
