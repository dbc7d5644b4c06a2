//! Makes two traces of one program comparable: port names are renumbered by first appearance.

use std::collections::HashMap;

/// Replaces the number after every `port ` by its place among all port numbers of the text, from 1.
pub fn ports(text: &str) -> String {
    const MARK: &str = "port ";
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let (before, after) = rest.split_at(at + MARK.len());
        out.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = after.split_at(digits);
        if !number.is_empty() {
            let next = seen.len() + 1;
            out.push_str(&seen.entry(number).or_insert(next).to_string());
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::ports;

    #[test]
    fn numbers_follow_the_order_of_first_appearance() {
        assert_eq!(ports("a(port 14, port 9) = {port 14}\nport x"), "a(port 1, port 2) = {port 1}\nport x");
    }

    #[test]
    fn two_traces_that_differ_only_in_names_become_equal_and_others_do_not() {
        assert_eq!(ports("port 3 port 4 port 3"), ports("port 7 port 5 port 7"));
        assert_ne!(ports("port 3 port 4 port 3"), ports("port 7 port 5 port 5"));
    }
}
