//! Decimals: two's complement, big-endian, to text and back. Numbers have at most 1000 digits here.

const LIMB: u64 = 1_000_000_000;
const DIGITS_OF_LIMB: usize = 9;

/// How many digits any number of so many bytes can have in full: the specification's
/// floor(log10(2^(8 × size − 1) − 1)).
pub(crate) fn most_digits(size: usize) -> u64 {
    if size == 0 {
        return 0;
    }
    // log10(2) from below; for these sizes no power of two is near enough to one of ten to matter.
    let bits = (size as u64).saturating_mul(8) - 1;
    u64::try_from(u128::from(bits) * 30_102_999_566 / 100_000_000_000).unwrap_or(u64::MAX)
}

/// The bytes as a number with `scale` digits behind the point.
///
/// # Errors
/// When there are no bytes, or more than `precision` digits.
pub(crate) fn text(bytes: &[u8], precision: u32, scale: u32) -> Result<String, String> {
    let (&first, _) = bytes
        .split_first()
        .ok_or_else(|| "a decimal has at least one byte".to_owned())?;
    let negative = first & 0x80 != 0;
    let fill = if negative { 0xff } else { 0 };
    let start = bytes.iter().position(|&byte| byte != fill);
    let significant = &bytes[start.unwrap_or(bytes.len())..];
    let too_long = || format!("the decimal has more than {precision} digits");
    // So many bytes, and one for luck, hold any number of that many digits.
    if significant.len() > precision as usize * 3322 / 8000 + 2 {
        return Err(too_long());
    }
    // The magnitude of a negative number is its complement, plus one.
    let mut limbs: Vec<u32> = vec![0];
    for &byte in significant {
        times_plus(&mut limbs, 256, u64::from(byte ^ fill));
    }
    if negative {
        times_plus(&mut limbs, 1, 1);
    }
    let mut digits = String::new();
    for (index, limb) in limbs.iter().rev().enumerate() {
        digits += &if index == 0 {
            limb.to_string()
        } else {
            format!("{limb:0DIGITS_OF_LIMB$}")
        };
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > precision as usize {
        return Err(too_long());
    }
    let digits = format!("{digits:0>width$}", width = scale as usize + 1);
    let (whole, part) = digits.split_at(digits.len() - scale as usize);
    let sign = if negative { "-" } else { "" };
    Ok(if part.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part}")
    })
}

/// Little-endian limbs of nine digits, times a factor, plus a carry.
fn times_plus(limbs: &mut Vec<u32>, factor: u64, mut carry: u64) {
    for limb in limbs.iter_mut() {
        let product = u64::from(*limb) * factor + carry;
        carry = product / LIMB;
        // Below a limb, which fits.
        *limb = u32::try_from(product % LIMB).unwrap_or_default();
    }
    while carry > 0 {
        limbs.push(u32::try_from(carry % LIMB).unwrap_or_default());
        carry /= LIMB;
    }
}

/// The shortest two's complement of a number.
///
/// # Errors
/// When the text is no number, has digits beyond the scale that are not 0, or too many of them.
pub(crate) fn bytes(text: &str, precision: u32, scale: u32) -> Result<Vec<u8>, String> {
    let shown = crate::fault::shortened(text);
    let no_number = || format!("{shown:?} is no decimal such as \"12.50\"");
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = match unsigned.split_once('.') {
        Some((whole, part)) if !part.is_empty() => (whole, part),
        Some(_) => return Err(no_number()),
        None => (unsigned, ""),
    };
    let digits_only = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !digits_only(whole)
        || !digits_only(part)
        || (whole.len() > 1 && whole.starts_with('0'))
    {
        return Err(no_number());
    }
    let part = part.trim_end_matches('0');
    if part.len() > scale as usize {
        return Err(format!(
            "{shown:?} has more than {scale} digits behind the point, which would be lost"
        ));
    }
    let unscaled = format!("{whole}{part:0<width$}", width = scale as usize);
    let digits = unscaled.trim_start_matches('0');
    if digits.len() > precision as usize {
        return Err(format!(
            "{shown:?} has more than the {precision} digits of the decimal"
        ));
    }
    // Little-endian magnitude.
    let mut magnitude: Vec<u8> = Vec::new();
    for digit in digits.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in &mut magnitude {
            let product = u32::from(*byte) * 10 + carry;
            [*byte, ..] = product.to_le_bytes();
            carry = product >> 8;
        }
        if carry > 0 {
            let [byte, ..] = carry.to_le_bytes();
            magnitude.push(byte);
        }
    }
    // Room for the sign.
    magnitude.push(0);
    if negative {
        let mut carry = true;
        for byte in &mut magnitude {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = over;
        }
    }
    magnitude.reverse();
    // As short as it goes: a byte that only repeats the sign is left out.
    let repeats = magnitude
        .windows(2)
        .take_while(|pair| {
            (pair[0] == 0 && pair[1] & 0x80 == 0) || (pair[0] == 0xff && pair[1] & 0x80 != 0)
        })
        .count();
    Ok(magnitude.split_off(repeats))
}

/// A number of JSON as decimal text, where its digits are all that was written.
pub(crate) fn of_number(number: &serde_json::Number) -> Result<String, String> {
    if !number.is_f64() {
        return Ok(number.to_string());
    }
    let value = number.as_f64().unwrap_or_default();
    let scientific = format!("{value:e}");
    let digits = scientific
        .bytes()
        .take_while(|&byte| byte != b'e')
        .filter(u8::is_ascii_digit)
        .count();
    if digits > 15 {
        return Err(format!(
            "{value} has more than 15 digits, which JSON's numbers may not keep; write it as text"
        ));
    }
    // Without an exponent.
    Ok(format!("{value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_their_bytes() {
        for (number, hex) in [
            ("0", "00"),
            ("1", "01"),
            ("-1", "ff"),
            ("127", "7f"),
            ("128", "0080"),
            ("-128", "80"),
            ("-129", "ff7f"),
            ("255", "00ff"),
            ("-256", "ff00"),
            ("18446744073709551616", "010000000000000000"),
            ("-18446744073709551616", "ff0000000000000000"),
        ] {
            let made = bytes(number, 40, 0).unwrap();
            let shown: String = made.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(shown, hex, "{number}");
            assert_eq!(text(&made, 40, 0).unwrap(), number);
            // The sign may be repeated, as in a fixed.
            let fill = if number.starts_with('-') { 0xff } else { 0 };
            let long = [vec![fill; 20], made].concat();
            assert_eq!(text(&long, 40, 0).unwrap(), number);
        }
    }

    #[test]
    fn most_digits_of_a_fixed() {
        // From the tests of the Avro project: 310 of 129 bytes; and by hand for small ones.
        let sizes = [
            (0, 0),
            (1, 2),
            (2, 4),
            (4, 9),
            (8, 18),
            (16, 38),
            (129, 310),
        ];
        for (size, digits) in sizes {
            assert_eq!(most_digits(size), digits, "{size}");
        }
    }
}
