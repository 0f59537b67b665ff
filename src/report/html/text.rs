//! Text and numbers in a page.

use std::fmt::{Display, Formatter, Result, Write};

/// Text from outside (names, reasons, options), made harmless anywhere in a page: in elements and in quoted attributes.
/// Control characters and those that turn the direction of writing become the replacement character.
pub struct Text<'a>(pub &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(' ')?,
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_char('\u{fffd}')?,
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A number with so many decimals, a true minus sign, no sign at a zero; a dash where there is none.
pub fn number(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value.filter(|v| v.is_finite()) else { return "–".into() };
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|b| matches!(b, b'0' | b'.')) => digits.into(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// A name as words: `hip_flexion` becomes `hip flexion`.
pub fn words(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes() {
        let escaped = Text("<b a='\"'>&\u{202e}\u{1b}").to_string();
        assert_eq!(escaped, "&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}\u{fffd}");
    }

    #[test]
    fn numbers() {
        assert_eq!(number(Some(-1.26), 1), "−1.3");
        assert_eq!(number(Some(-0.01), 1), "0.0");
        assert_eq!(number(Some(f64::NAN), 1), "–");
    }
}
