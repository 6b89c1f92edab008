//! Medians and ratios.

use std::collections::BTreeMap;

/// All measurements, by row and by who did it.
#[derive(Default)]
pub struct Table {
    /// In the order in which they came.
    rows: Vec<String>,
    names: Vec<&'static str>,
    values: BTreeMap<(String, &'static str), Vec<f64>>,
    failures: BTreeMap<(String, &'static str), &'static str>,
}

impl Table {
    pub fn add(&mut self, row: &str, who: &'static str, value: f64) {
        if !self.rows.iter().any(|other| other == row) {
            self.rows.push(row.to_owned());
        }
        if !self.names.contains(&who) {
            self.names.push(who);
        }
        self.values.entry((row.to_owned(), who)).or_default().push(value);
    }

    pub fn fail(&mut self, work: &str, who: &'static str, how: &'static str) {
        self.failures.insert((work.to_owned(), who), how);
        if !self.names.contains(&who) {
            self.names.push(who);
        }
    }

    pub fn has_failed(&self, work: &str, who: &'static str) -> bool {
        self.failures.contains_key(&(work.to_owned(), who))
    }

    fn median(&mut self, row: &str, who: &'static str) -> Option<f64> {
        let values = self.values.get_mut(&(row.to_owned(), who))?;
        values.sort_by(f64::total_cmp);
        Some(values[values.len() / 2])
    }

    /// As Markdown: the median, and how many times as much as raw and as bulk that is.
    pub fn print(mut self) {
        println!("| work | who | median | of raw | of bulk |\n|---|---|---|---|---|");
        for row in std::mem::take(&mut self.rows) {
            let raw = self.median(&row, "raw");
            let bulk = self.median(&row, "bulk");
            for who in self.names.clone() {
                let value = self.median(&row, who);
                let failure = self
                    .failures
                    .iter()
                    .find(|((work, other), _)| *other == who && row.starts_with(work.as_str()));
                let ratio = |value: f64, of: Option<f64>| match of {
                    Some(of) if of > 0.0 => format!("{:.2}", value / of),
                    _ => "-".to_owned(),
                };
                match (value, failure) {
                    (Some(value), _) => {
                        let (raw, bulk) = (ratio(value, raw), ratio(value, bulk));
                        println!("| {row} | {who} | {} | {raw} | {bulk} |", short(value));
                    }
                    (None, Some((_, how))) => println!("| {row} | {who} | {how} | | |"),
                    (None, None) => {}
                }
            }
        }
    }
}

/// Three digits, or all before the point.
fn short(value: f64) -> String {
    let digits = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}
