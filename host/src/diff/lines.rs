//! How one text differs from another, line by line. Pure.

/// So many pairs of lines are looked at; texts that differ in more are told as a whole.
const MOST: usize = 4_000_000;

/// The lines that went, with `- ` before them, and those that came, with `+ `; none that stayed.
#[must_use]
pub fn lines(before: &str, after: &str) -> Vec<String> {
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same_start..], &new[same_start..]);
    let ends = old.iter().rev().zip(new.iter().rev());
    let same_end = ends.take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - same_end], &new[..new.len() - same_end]);
    let went = |line: &&str| format!("- {line}");
    let came = |line: &&str| format!("+ {line}");
    if old.len().saturating_mul(new.len()) > MOST {
        return old.iter().map(went).chain(new.iter().map(came)).collect();
    }
    // The longest common run of lines, from each place to the ends.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut told = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            told.push(went(&old[i]));
            i += 1;
        } else {
            told.push(came(&new[j]));
            j += 1;
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_stayed_are_not_told() {
        let told = lines("a\nb\nc\nd\n", "a\nc\nx\nd\n");
        assert_eq!(told, ["- b", "+ x"]);
        assert!(lines("a\n", "a").is_empty());
        assert_eq!(lines("", "a\nb"), ["+ a", "+ b"]);
        let large = |word: &str| {
            (0..3000)
                .map(|n| format!("{word}{n}\n"))
                .collect::<String>()
        };
        assert_eq!(lines(&large("a"), &large("b")).len(), 6000);
    }
}
