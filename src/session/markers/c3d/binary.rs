//! Numbers as the three kinds of processor that C3D knows wrote them.

/// Which processor's numbers a file holds: the fourth byte of its parameter section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Processor {
    /// 84: little-endian, IEEE floats; nearly all files.
    Intel,
    /// 85: little-endian integers, floats of the VAX.
    Dec,
    /// 86: big-endian, IEEE floats.
    Mips,
}

impl Processor {
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            84 => Some(Self::Intel),
            85 => Some(Self::Dec),
            86 => Some(Self::Mips),
            _ => None,
        }
    }

    pub fn unsigned(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Intel | Self::Dec => u16::from_le_bytes(bytes),
            Self::Mips => u16::from_be_bytes(bytes),
        }
    }

    pub fn signed(self, bytes: [u8; 2]) -> i16 {
        self.unsigned(bytes).cast_signed()
    }

    pub fn float(self, bytes: [u8; 4]) -> f64 {
        match self {
            Self::Intel => f64::from(f32::from_le_bytes(bytes)),
            Self::Mips => f64::from(f32::from_be_bytes(bytes)),
            Self::Dec => vax([bytes[1], bytes[0], bytes[3], bytes[2]]),
        }
    }
}

/// VAX F_floating, most significant byte first: sign, exponent `e` of 8 bits, fraction `f` of 23 bits, `(−1)^s · 0.1f₂ · 2^(e − 128)`. `e = 0` is zero,
/// and with a sign a reserved operand: no number.
fn vax(bytes: [u8; 4]) -> f64 {
    let bits = u32::from_be_bytes(bytes);
    let negative = bits >> 31 == 1;
    let exponent = (bits >> 23 & 0xff) as i32;
    if exponent == 0 {
        return if negative { f64::NAN } else { 0.0 };
    }
    let fraction = f64::from(bits & 0x7f_ffff | 0x80_0000);
    let magnitude = fraction * 2f64.powi(exponent - 128 - 24);
    if negative { -magnitude } else { magnitude }
}

/// Two bytes at a place; `None` outside.
pub(super) fn two(bytes: &[u8], at: usize) -> Option<[u8; 2]> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok()
}

/// Four bytes at a place; `None` outside.
pub(super) fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from the VAX Architecture Reference Manual's definition: 1.0 is 4080 in the first word, 0.5 is 4000.
    #[test]
    fn numbers_of_the_vax() {
        let dec = |bytes| Processor::Dec.float(bytes);
        assert_eq!(dec([0x80, 0x40, 0, 0]), 1.0);
        assert_eq!(dec([0x00, 0x40, 0, 0]), 0.5);
        assert_eq!(dec([0x80, 0xc0, 0, 0]), -1.0);
        assert_eq!(dec([0xf0, 0x43, 0, 0]), 120.0);
        assert_eq!(dec([0, 0, 0, 0]), 0.0);
        assert!(dec([0, 0x80, 0, 0]).is_nan());
        // The largest exponent is a number, not infinity.
        assert!(dec([0xff, 0x7f, 0xff, 0xff]) > 1.7e38 && dec([0xff, 0x7f, 0xff, 0xff]).is_finite());
        // One unit of the last place of 1.
        assert_eq!(dec([0x80, 0x40, 1, 0]), 1.0 + 2f64.powi(-23));
    }

    #[test]
    fn ends_of_words() {
        assert_eq!(Processor::Intel.signed([0xfe, 0xff]), -2);
        assert_eq!(Processor::Dec.unsigned([1, 2]), 0x201);
        assert_eq!(Processor::Mips.unsigned([1, 2]), 0x102);
        assert_eq!(Processor::Mips.float(1.5f32.to_be_bytes()), 1.5);
        assert_eq!(four(&[1, 2, 3], 0), None);
        assert_eq!(two(&[1, 2], usize::MAX), None);
    }
}
