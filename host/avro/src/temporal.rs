//! Dates, times and timestamps as text: the forms of RFC 3339, with as many digits behind the second as
//! the unit has.

use time::{Date, Month};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    /// Digits behind the second.
    pub(crate) fn digits(self) -> usize {
        match self {
            Self::Millis => 3,
            Self::Micros => 6,
            Self::Nanos => 9,
        }
    }

    fn per_second(self) -> i64 {
        match self {
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}

/// The Julian day of 1970-01-01.
const EPOCH: i64 = 2_440_588;
const DAY: i64 = 86_400;

/// Days since 1970 as text, from year 0000 to 9999.
pub(crate) fn date_text(days: i64) -> Option<String> {
    let julian = i32::try_from(days.checked_add(EPOCH)?).ok()?;
    let (year, month, day) = Date::from_julian_day(julian).ok()?.to_calendar_date();
    (0..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{:02}-{day:02}", u8::from(month)))
}

/// A time of day, from midnight.
pub(crate) fn time_text(value: i64, unit: Unit) -> Option<String> {
    let seconds = value.div_euclid(unit.per_second());
    let part = value.rem_euclid(unit.per_second());
    (0..DAY).contains(&seconds).then(|| {
        format!(
            "{:02}:{:02}:{:02}.{part:0digits$}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            digits = unit.digits()
        )
    })
}

/// Since 1970, without the zone.
pub(crate) fn timestamp_text(value: i64, unit: Unit) -> Option<String> {
    let day = DAY * unit.per_second();
    let date = date_text(value.div_euclid(day))?;
    let time = time_text(value.rem_euclid(day), unit)?;
    Some(format!("{date}T{time}"))
}

/// A text that is read from its front.
struct Text<'a> {
    left: &'a [u8],
}

impl Text<'_> {
    /// Exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, left) = self.left.split_at_checked(count)?;
        let number = digits.iter().try_fold(0i64, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i64::from(byte - b'0'))
        })?;
        self.left = left;
        Some(number)
    }

    fn one_of(&mut self, letters: &[u8]) -> Option<u8> {
        let (&first, left) = self.left.split_first()?;
        letters.contains(&first).then(|| {
            self.left = left;
            first
        })
    }

    fn date(&mut self) -> Option<Date> {
        let year = self.digits(4)?;
        self.one_of(b"-")?;
        let month = self.digits(2)?;
        self.one_of(b"-")?;
        let day = self.digits(2)?;
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()
    }

    /// Seconds of the day and what is behind the point, in the unit.
    fn time(&mut self, unit: Unit) -> Result<(i64, i64), Option<String>> {
        let seconds = self.seconds().ok_or(None)?;
        let mut part = 0;
        let mut place = unit.per_second();
        if self.one_of(b".").is_some() {
            let mut digits = 0;
            while let Some(digit) = self.digits(1) {
                place /= 10;
                if place == 0 && digit != 0 {
                    return Err(Some(format!(
                        "has more than {} digits behind the second, which would be lost",
                        unit.digits()
                    )));
                }
                part += digit * place;
                digits += 1;
            }
            if digits == 0 {
                return Err(None);
            }
        }
        Ok((seconds, part))
    }

    fn seconds(&mut self) -> Option<i64> {
        let hours = self.digits(2).filter(|&hours| hours < 24)?;
        self.one_of(b":")?;
        let minutes = self.digits(2).filter(|&minutes| minutes < 60)?;
        self.one_of(b":")?;
        // A leap second has no number since 1970.
        let seconds = self.digits(2).filter(|&seconds| seconds < 60)?;
        Some(hours * 3600 + minutes * 60 + seconds)
    }

    /// Seconds that the zone is before UTC.
    fn zone(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.digits(2).filter(|&hours| hours < 24)?;
        self.one_of(b":")?;
        let minutes = self.digits(2).filter(|&minutes| minutes < 60)?;
        Some(sign * (hours * 3600 + minutes * 60))
    }
}

fn wrong(text: &str, wanted: &str) -> String {
    format!("{:?} is no {wanted}", crate::fault::shortened(text))
}

fn explained(text: &str, wanted: &str, reason: Option<String>) -> String {
    match reason {
        Some(reason) => format!("{:?} {reason}", crate::fault::shortened(text)),
        None => wrong(text, wanted),
    }
}

pub(crate) fn date(text: &str) -> Result<i64, String> {
    let mut rest = Text {
        left: text.as_bytes(),
    };
    match rest.date() {
        Some(date) if rest.left.is_empty() => Ok(i64::from(date.to_julian_day()) - EPOCH),
        _ => Err(wrong(text, "date such as 2026-01-31")),
    }
}

pub(crate) fn time(text: &str, unit: Unit) -> Result<i64, String> {
    let wanted = "time such as 13:05:09.123";
    let mut rest = Text {
        left: text.as_bytes(),
    };
    let (seconds, part) = rest
        .time(unit)
        .map_err(|reason| explained(text, wanted, reason))?;
    if !rest.left.is_empty() {
        return Err(wrong(text, wanted));
    }
    Ok(seconds * unit.per_second() + part)
}

pub(crate) fn timestamp(text: &str, unit: Unit, zoned: bool) -> Result<i64, String> {
    let wanted = if zoned {
        "timestamp with its offset, such as 2026-01-31T13:05:09.123Z"
    } else {
        "local timestamp without offset, such as 2026-01-31T13:05:09.123"
    };
    let mut rest = Text {
        left: text.as_bytes(),
    };
    let date = rest
        .date()
        .filter(|_| rest.one_of(b"Tt").is_some())
        .ok_or_else(|| wrong(text, wanted))?;
    let (seconds, part) = rest
        .time(unit)
        .map_err(|reason| explained(text, wanted, reason))?;
    let before = if zoned { rest.zone() } else { Some(0) };
    let before = before
        .filter(|_| rest.left.is_empty())
        .ok_or_else(|| wrong(text, wanted))?;
    let days = i64::from(date.to_julian_day()) - EPOCH;
    let seconds = days * DAY + seconds - before;
    let whole = i128::from(seconds) * i128::from(unit.per_second()) + i128::from(part);
    i64::try_from(whole).map_err(|_| {
        format!(
            "{:?} is beyond what a timestamp of this precision can say",
            crate::fault::shortened(text)
        )
    })
}
