//! From `MessagePack` to JSON.

use std::{collections::BTreeMap, fmt::Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use rmpv::Value;

use crate::{log::is_unseen, signature::Type};

/// A value as one line of JSON. What does not look like its type is written as it came.
///
/// Bytes are base64; whole numbers beyond 64 bits, NaN and infinities are strings; a map whose keys
/// are not scalars is a list of pairs; a stream or callback is its place, `"@0"`.
pub(crate) fn decode(of: &Type, value: &Value) -> String {
    decode_with_handles(of, value).0
}

/// The same, and of which type the items of the streams in it are, by their places.
pub(crate) fn decode_with_handles(of: &Type, value: &Value) -> (String, BTreeMap<u64, Type>) {
    let mut out = String::new();
    let mut decoder = Decoder { inside: Vec::new(), handles: BTreeMap::new() };
    decoder.write(of, value, &mut out);
    (out, decoder.handles)
}

/// A string as JSON, in which nothing does anything to a terminal.
pub(crate) fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    if !json.contains(is_unseen) {
        return json;
    }
    // All of them are below U+FFFF, and may be escaped anywhere in a string.
    let escape = |c: char| if is_unseen(c) { format!("\\u{:04x}", u32::from(c)) } else { c.into() };
    json.chars().map(escape).collect()
}

struct Decoder<'a> {
    /// Named types that we are inside of, outermost first.
    inside: Vec<&'a Type>,
    handles: BTreeMap<u64, Type>,
}

impl<'a> Decoder<'a> {
    fn write(&mut self, of: &'a Type, value: &Value, out: &mut String) {
        match (of, value) {
            (Type::Named(name), value) => match super::encode::find(&self.inside, name) {
                Some((of, depth)) => {
                    let rest = self.inside.split_off(depth);
                    self.write(of, value, out);
                    self.inside.extend(rest);
                }
                None => self.write(&Type::Any, value, out),
            },
            (Type::Option(_), Value::Nil) => out.push_str("null"),
            (Type::Option(inner), value) => self.write(inner, value, out),
            (Type::Bytes { .. }, Value::Array(items)) if items.iter().all(is_byte) => {
                let bytes = items.iter().filter_map(Value::as_u64);
                base64(&bytes.filter_map(|b| u8::try_from(b).ok()).collect::<Vec<_>>(), out);
            }
            (Type::Int("i128"), Value::Binary(bytes)) => match bytes.as_slice().try_into() {
                Ok(bytes) => whole(i128::from_be_bytes(bytes), out),
                Err(_) => base64(bytes, out),
            },
            (Type::Int("u128"), Value::Binary(bytes)) => match bytes.as_slice().try_into() {
                Ok(bytes) => match u128::from_be_bytes(bytes) {
                    n if n <= u64::MAX.into() => _ = write!(out, "{n}"),
                    n => _ = write!(out, "\"{n}\""),
                },
                Err(_) => base64(bytes, out),
            },
            (Type::Unit, Value::Array(items)) if items.is_empty() => out.push_str("null"),
            (Type::List(item) | Type::Array(item, _), Value::Array(items)) => {
                list(items, out, |value, out| self.write(item, value, out));
            }
            (Type::Tuple(types), Value::Array(items)) => {
                let mut types = types.iter();
                list(items, out, |value, out| {
                    self.write(types.next().unwrap_or(&Type::Any), value, out);
                });
            }
            (Type::Map(key, of), Value::Map(pairs)) => {
                let scalar = |key: &Value| !(key.is_array() || key.is_map() || key.is_ext());
                if pairs.iter().all(|(key, _)| scalar(key)) {
                    self.object(pairs, out, |this, name, value, out| {
                        this.key(key, name, out);
                        this.write(of, value, out);
                    });
                } else {
                    list(pairs, out, |(name, value), out| {
                        out.push('[');
                        self.write(key, name, out);
                        out.push(',');
                        self.write(of, value, out);
                        out.push(']');
                    });
                }
            }
            (Type::Struct(_, fields), Value::Map(pairs)) => {
                self.inside.push(of);
                self.named(fields, pairs, out);
                self.inside.pop();
            }
            (Type::Struct(_, fields), Value::Array(items)) if items.len() == fields.len() => {
                self.inside.push(of);
                out.push('{');
                for (i, ((name, of), value)) in fields.iter().zip(items).enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    let _ = write!(out, "{}:", quoted(name));
                    self.write(of, value, out);
                }
                out.push('}');
                self.inside.pop();
            }
            (Type::Enum(_, variants), Value::Map(pairs)) => {
                self.inside.push(of);
                self.named(variants, pairs, out);
                self.inside.pop();
            }
            (of, Value::Integer(place)) if of.is_handle() => {
                let _ = write!(out, "\"@{place}\"");
                if let (Type::Sender(item) | Type::Receiver(item), Some(place)) =
                    (of, place.as_u64())
                {
                    self.handles.insert(place, (**item).clone());
                }
            }
            (_, value) => self.natural(value, out),
        }
    }

    /// Pairs whose keys are names of fields or variants.
    fn named(&mut self, fields: &'a [(String, Type)], pairs: &[(Value, Value)], out: &mut String) {
        self.object(pairs, out, |this, name, value, out| {
            this.key(&Type::Text, name, out);
            let field = fields.iter().find(|(field, _)| Some(field.as_str()) == name.as_str());
            this.write(field.map_or(&Type::Any, |(_, of)| of), value, out);
        });
    }

    fn object(
        &mut self,
        pairs: &[(Value, Value)],
        out: &mut String,
        mut each: impl FnMut(&mut Self, &Value, &Value, &mut String),
    ) {
        out.push('{');
        for (i, (name, value)) in pairs.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { "," });
            each(self, name, value, out);
        }
        out.push('}');
    }

    /// A key of an object is a string in JSON, whatever it is on the wire.
    fn key(&mut self, of: &'a Type, value: &Value, out: &mut String) {
        let mut text = String::new();
        self.write(of, value, &mut text);
        if text.starts_with('"') {
            out.push_str(&text);
        } else {
            out.push_str(&quoted(&text));
        }
        out.push(':');
    }

    fn natural(&mut self, value: &Value, out: &mut String) {
        match value {
            Value::Nil => out.push_str("null"),
            Value::Boolean(b) => _ = write!(out, "{b}"),
            Value::Integer(n) => _ = write!(out, "{n}"),
            Value::F32(x) if x.is_finite() => _ = write!(out, "{x:?}"),
            Value::F64(x) if x.is_finite() => _ = write!(out, "{x:?}"),
            Value::F32(x) => _ = write!(out, "\"{x}\""),
            Value::F64(x) => _ = write!(out, "\"{x}\""),
            Value::String(text) => match text.as_str() {
                Some(text) => out.push_str(&quoted(text)),
                None => base64(text.as_bytes(), out),
            },
            Value::Binary(bytes) | Value::Ext(_, bytes) => base64(bytes, out),
            Value::Array(items) => list(items, out, |value, out| self.natural(value, out)),
            Value::Map(_) => {
                const ANY: &Type = &Type::Any;
                if let Value::Map(pairs) = value {
                    let scalar = |key: &Value| !(key.is_array() || key.is_map());
                    if pairs.iter().all(|(key, _)| scalar(key)) {
                        self.object(pairs, out, |this, name, value, out| {
                            this.key(ANY, name, out);
                            this.natural(value, out);
                        });
                    } else {
                        list(pairs, out, |(name, value), out| {
                            out.push('[');
                            self.natural(name, out);
                            out.push(',');
                            self.natural(value, out);
                            out.push(']');
                        });
                    }
                }
            }
        }
    }
}

fn is_byte(value: &Value) -> bool {
    value.as_u64().is_some_and(|n| n < 256)
}

fn base64(bytes: &[u8], out: &mut String) {
    out.push('"');
    BASE64_STANDARD.encode_string(bytes, out);
    out.push('"');
}

fn whole(n: i128, out: &mut String) {
    let fits = i64::try_from(n).is_ok() || u64::try_from(n).is_ok();
    let _ = if fits { write!(out, "{n}") } else { write!(out, "\"{n}\"") };
}

fn list<T>(items: &[T], out: &mut String, mut each: impl FnMut(&T, &mut String)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { "," });
        each(item, out);
    }
    out.push(']');
}
