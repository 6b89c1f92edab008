//! The words of a command line as the arguments of a call.

use rmpv::Value;
use serde_json::Value as Json;

use crate::{
    exit::Error,
    json::{self, Given},
    signature::{Signature, Type},
};

/// What a call needs.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) payload: Vec<u8>,
    /// The streams and callbacks in it, by their places.
    pub(crate) given: Vec<Given>,
}

/// Makes arguments of words, one for each. Streams and callbacks may be left out: then they are
/// `@in`, `@out` and `@print`.
pub(crate) fn of_words(
    name: &str,
    signature: &Signature,
    words: &[String],
    raw: bool,
) -> Result<Arguments, Error> {
    let Some(types) = &signature.arguments else {
        let values = words.iter().enumerate().map(|(i, text)| {
            json::word(&Type::Any, text, raw).map_err(|why| misfit(name, i, &why))
        });
        return encode(name, signature, &values.collect::<Result<Vec<_>, _>>()?);
    };
    if let Some(values) = list_of_words(types, words, raw) {
        return encode(name, signature, &values);
    }
    let plain = types.iter().filter(|of| !of.is_handle()).count();
    if words.len() != types.len() && words.len() != plain {
        return Err(wrong_count(name, types, plain, words.len()));
    }
    let leave_out = words.len() != types.len();
    let mut words = words.iter();
    let mut values = Vec::new();
    for (i, of) in types.iter().enumerate() {
        values.push(match of {
            Type::Receiver(_) if leave_out => Json::from("@in"),
            Type::Sender(_) if leave_out => Json::from("@out"),
            Type::Callback(..) if leave_out => Json::from("@print"),
            of => {
                let text = words.next().map(String::as_str).unwrap_or_default();
                json::word(of, text, raw).map_err(|why| misfit(name, i, &why))?
            }
        });
    }
    encode(name, signature, &values)
}

/// A procedure whose only argument is a list of text takes words as its elements, as commands do.
fn list_of_words(types: &[Type], words: &[String], raw: bool) -> Option<Vec<Json>> {
    let mut plain = types.iter().filter(|of| !of.is_handle());
    let list = Type::List(Box::new(Type::Text));
    if plain.next() != Some(&list) || plain.next().is_some() {
        return None;
    }
    if words.iter().any(|word| word.starts_with(['[', '@'])) {
        return None; // JSON, or markers
    }
    let words = words.iter().map(|word| json::word(&Type::Text, word, raw));
    let words = Json::Array(words.collect::<Result<_, _>>().ok()?);
    let value = |of: &Type| match of {
        Type::Receiver(_) => Json::from("@in"),
        Type::Sender(_) => Json::from("@out"),
        Type::Callback(..) => Json::from("@print"),
        _ => words.clone(),
    };
    Some(types.iter().map(value).collect())
}

/// Reads the file of `--args`, or standard input if that is `-`. A thread does so, because either
/// may be a pipe on which nothing comes.
pub(super) async fn read(path: &str) -> Result<String, Error> {
    let what = if path == "-" { "standard input" } else { path };
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || match path.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    });
    read.await.unwrap_or_else(|error| Err(error.into())).map_err(|error| {
        Error::Usage(format!("--args: cannot read {what}: {}", ipfi_transport::reason(&error)))
    })
}

/// Makes arguments of a JSON array.
pub(super) fn of_text(name: &str, signature: &Signature, text: &str) -> Result<Arguments, Error> {
    let values: Vec<Json> = serde_json::from_str(text)
        .map_err(|error| Error::Usage(format!("--args takes a JSON array: {error}")))?;
    match (&signature.arguments, json::beyond_64_bits(text)) {
        (Some(types), _) if types.len() != values.len() => {
            return Err(wrong_count(name, types, types.len(), values.len()));
        }
        (None, Some(number)) => {
            return Err(Error::Usage(format!("--args: {}", json::too_long(number))));
        }
        _ => {}
    }
    encode(name, signature, &values)
}

fn encode(name: &str, signature: &Signature, values: &[Json]) -> Result<Arguments, Error> {
    let mut given = Vec::new();
    let mut encoded = Vec::with_capacity(values.len());
    for (i, value) in values.iter().enumerate() {
        let of = signature.arguments.as_ref().and_then(|types| types.get(i));
        let value = json::encode(of.unwrap_or(&Type::Any), value, &mut given);
        encoded.push(value.map_err(|why| misfit(name, i, &why))?);
    }
    let value = if signature.is_unit() { Value::Nil } else { Value::Array(encoded) };
    Ok(Arguments { payload: json::pack(&value), given })
}

fn misfit(name: &str, i: usize, why: &impl ToString) -> Error {
    Error::Usage(json::place(&format!("`{name}`, argument {}", i + 1), &why.to_string()))
}

fn wrong_count(name: &str, types: &[Type], plain: usize, given: usize) -> Error {
    let list: Vec<_> = types.iter().map(ToString::to_string).collect();
    let s = if plain == 1 { "" } else { "s" };
    Error::Usage(format!("`{name}` takes {plain} argument{s}, not {given}: ({})", list.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(signature: &str, words: &[&str]) -> Result<Arguments, String> {
        let signature = Signature::parse(signature).unwrap();
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        of_words("f", &signature, &words, false).map_err(|error| error.to_string())
    }

    #[test]
    fn streams_and_callbacks_may_be_left_out() {
        let signature = "(u8, Sender<u8>, String, Callback<(u8)>, Receiver<u8>)";
        let short = words(signature, &["1", "a b"]).unwrap();
        let long = words(signature, &["1", "@out", "a b", "@print", "@in"]).unwrap();
        assert_eq!(short.payload, long.payload);
        assert_eq!(short.payload, b"\x95\x01\x00\xa3a b\x01\x02");
        assert!(matches!(
            &short.given[..],
            [Given::Output(_), Given::Print { .. }, Given::Input(_)]
        ));
        assert_eq!(words("()", &[]).unwrap().payload, b"\xc0");
    }

    #[test]
    fn words_are_a_list_of_text() {
        let signature = "(Vec<String>, Sender<String>)";
        assert_eq!(words(signature, &["-h", "/"]).unwrap().payload, b"\x92\x92\xa2-h\xa1/\x00");
        assert_eq!(words(signature, &[]).unwrap().payload, b"\x92\x90\x00");
        assert_eq!(words(signature, &["[\"a\"]"]).unwrap().payload, b"\x92\x91\xa1a\x00");
    }

    #[test]
    fn the_wrong_number_is_told_with_what_is_wanted() {
        assert_eq!(
            words("(u8, Sender<u8>)", &[]).unwrap_err(),
            "`f` takes 1 argument, not 0: (u8, Sender<u8>)"
        );
        assert_eq!(
            words("(u8, Vec<(u8, bool)>)", &["1", "[[1, true], [2, 3]]"]).unwrap_err(),
            "`f`, argument 2, [1][1]: bool is wanted, not 3"
        );
    }
}
