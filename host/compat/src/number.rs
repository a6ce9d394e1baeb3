//! JSON numbers compared exactly, whether they are written as integers or not.

use std::cmp::Ordering;

use serde_json::Number;

fn integer(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

/// Exact comparison; an `f64` is taken as the value that it stands for.
pub(crate) fn compare(left: &Number, right: &Number) -> Ordering {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(left), None) => against(left, right.as_f64().unwrap_or(f64::NAN)),
        (None, Some(right)) => against(right, left.as_f64().unwrap_or(f64::NAN)).reverse(),
        (None, None) => {
            let (left, right) = (left.as_f64(), right.as_f64());
            left.partial_cmp(&right).unwrap_or(Ordering::Equal)
        }
    }
}

/// An integer of 64 bits against a float.
fn against(left: i128, right: f64) -> Ordering {
    const LARGE: f64 = 1e30;
    if right >= LARGE {
        return Ordering::Less;
    }
    if right <= -LARGE {
        return Ordering::Greater;
    }
    // Below 1e30 the floor fits into an i128 exactly.
    #[allow(clippy::cast_possible_truncation)]
    let floor = right.floor() as i128;
    match left.cmp(&floor) {
        Ordering::Equal if right.fract() != 0.0 => Ordering::Less,
        order => order,
    }
}

/// A bound of numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bound {
    pub limit: Number,
    /// The limit itself is out.
    pub exclusive: bool,
}

impl Bound {
    /// As a lower bound: whether each number that keeps `self` keeps `other`.
    pub fn at_least(&self, other: &Self) -> bool {
        match compare(&self.limit, &other.limit) {
            Ordering::Greater => true,
            Ordering::Equal => self.exclusive || !other.exclusive,
            Ordering::Less => false,
        }
    }

    /// As an upper bound: whether each number that keeps `self` keeps `other`.
    pub fn at_most(&self, other: &Self) -> bool {
        match compare(&self.limit, &other.limit) {
            Ordering::Less => true,
            Ordering::Equal => self.exclusive || !other.exclusive,
            Ordering::Greater => false,
        }
    }

    /// The lower bound that says the same of whole numbers, where it can be told exactly.
    pub fn whole_lower(&self) -> Self {
        self.whole(1)
    }

    /// The upper bound that says the same of whole numbers, where it can be told exactly.
    pub fn whole_upper(&self) -> Self {
        self.whole(-1)
    }

    fn whole(&self, inwards: i64) -> Self {
        const SAFE: f64 = 9_007_199_254_740_992.0;
        let limit = self.limit.as_f64().unwrap_or(f64::INFINITY);
        if limit.abs() >= SAFE {
            return self.clone();
        }
        let rounded = if inwards > 0 {
            limit.ceil()
        } else {
            limit.floor()
        };
        #[allow(clippy::cast_possible_truncation)]
        let mut whole = rounded as i64;
        // The comparison of floats is meant: was there anything to round?
        #[allow(clippy::float_cmp)]
        if self.exclusive && rounded == limit {
            whole += inwards;
        }
        Self {
            limit: whole.into(),
            exclusive: false,
        }
    }
}

/// Whether each multiple of `of` is a multiple of `step` for the validator too; told for whole
/// numbers only, because it divides others in floating point.
pub(crate) fn divides(step: &Number, of: &Number) -> bool {
    if step == of {
        return true;
    }
    const SAFE: i128 = 1 << 53;
    match (integer(step), integer(of)) {
        (Some(step), Some(of)) => step > 0 && of > 0 && of < SAFE && of % step == 0,
        _ => false,
    }
}
