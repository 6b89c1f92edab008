//! From JSON to `MessagePack`, as a signature wants it.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use rmpv::Value;
use serde_json::Value as Json;

use crate::signature::Type;

/// A stream or a callback that stands in the arguments.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// The callee reads what we read from standard input.
    Input(Type),
    /// The callee sends what we print.
    Output(Type),
    /// We print each call, and give this encoded answer.
    Print { arguments: Vec<Type>, answer: Vec<u8> },
}

/// JSON that a type does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Where in the value: `.points[3].x`; empty for the value itself.
    path: String,
    why: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.why)
        } else {
            write!(f, "at {}: {}", self.path, self.why)
        }
    }
}

/// A word of a command line or a line of input as JSON: text, bytes, names of variants and markers
/// may go without quotes, and if `raw` text always does.
pub(crate) fn word(of: &Type, text: &str, raw: bool) -> Result<Json, String> {
    if of.takes_bare(text) || (raw && of.is_text()) {
        return Ok(Json::from(text));
    }
    if let Some(number) = beyond_64_bits(text) {
        match of {
            Type::Int("i128" | "u128") => return Ok(Json::from(number)),
            Type::Int(_) => return Err(format!("{of} is wanted, not {}", shorten(number))),
            Type::Any => return Err(too_long(number)),
            _ => {}
        }
    }
    let begins_like_json = text.trim_start().starts_with(['"', '[', '{']);
    serde_json::from_str(text).map_err(|error| {
        if *of == Type::Any || begins_like_json {
            format!("`{}` is not JSON: {error}", shorten(text))
        } else {
            format!("{of} is wanted, not {}", shorten(text))
        }
    })
}

/// A whole number in JSON that neither `i64` nor `u64` holds: read as JSON, it would lose digits.
pub(crate) fn beyond_64_bits(json: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let mut tokens = json.split(|c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        quoted || !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))
    });
    tokens.find(|token| {
        let digits = token.strip_prefix('-').unwrap_or(token);
        let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        whole && token.parse::<i64>().is_err() && token.parse::<u64>().is_err()
    })
}

/// Such a number, where nothing says what is wanted.
pub(crate) fn too_long(number: &str) -> String {
    let number = shorten(number);
    format!("{number} does not fit 64 bits: write {number}.0 for a float, or quotes for text")
}

/// What does not fit, with where that is put together.
pub(crate) fn place(outer: &str, why: &str) -> String {
    match why.strip_prefix("at ") {
        Some(inner) => format!("{outer}, {inner}"),
        None => format!("{outer}: {why}"),
    }
}

/// A value as this type wants it; the streams and callbacks in it go to `given`.
pub(crate) fn encode(of: &Type, json: &Json, given: &mut Vec<Given>) -> Result<Value, Misfit> {
    Encoder { inside: Vec::new(), given }.encode(of, json)
}

/// The innermost type of this name, and how deep it is.
pub(super) fn find<'a>(inside: &[&'a Type], name: &str) -> Option<(&'a Type, usize)> {
    inside.iter().enumerate().rev().find_map(|(depth, of)| match of {
        Type::Struct(own, _) | Type::Enum(own, _) if own == name => Some((*of, depth)),
        _ => None,
    })
}

struct Encoder<'a, 'g> {
    inside: Vec<&'a Type>,
    given: &'g mut Vec<Given>,
}

fn misfit(of: impl fmt::Display, json: &Json) -> Misfit {
    let why = format!("{of} is wanted, not {}", shorten(&json.to_string()));
    Misfit { path: String::new(), why }
}

fn at(step: impl fmt::Display) -> impl FnOnce(Misfit) -> Misfit {
    move |misfit| Misfit { path: format!("{step}{}", misfit.path), why: misfit.why }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    text.chars().take(37).chain("...".chars()).collect()
}

impl<'a> Encoder<'a, '_> {
    fn encode(&mut self, of: &'a Type, json: &Json) -> Result<Value, Misfit> {
        Ok(match (of, json) {
            (Type::Any, json) => natural(json),
            (Type::Named(name), json) => match find(&self.inside, name) {
                Some((of, depth)) => {
                    let rest = self.inside.split_off(depth);
                    let value = self.encode(of, json)?;
                    self.inside.extend(rest);
                    value
                }
                None => natural(json),
            },
            (Type::Unit | Type::Option(_), Json::Null) => Value::Nil,
            (Type::Option(inner), json) => self.encode(inner, json)?,
            (Type::Bool, Json::Bool(b)) => Value::Boolean(*b),
            (Type::Int(name), json) => int(name, json).ok_or_else(|| misfit(of, json))?,
            (Type::Float(name), json) => {
                let x = match json {
                    Json::Number(n) => n.as_f64(),
                    Json::String(text) => match text.as_str() {
                        "NaN" => Some(f64::NAN),
                        "inf" => Some(f64::INFINITY),
                        "-inf" => Some(f64::NEG_INFINITY),
                        _ => None,
                    },
                    _ => None,
                };
                let x = x.ok_or_else(|| misfit(of, json))?;
                #[expect(clippy::cast_possible_truncation, reason = "as many digits as it has")]
                if *name == "f32" { Value::F32(x as f32) } else { Value::F64(x) }
            }
            (Type::Char, Json::String(text)) if text.chars().count() == 1 => {
                Value::from(text.as_str())
            }
            (Type::Text, Json::String(text)) => Value::from(text.as_str()),
            (Type::Bytes { list }, json) => {
                let bytes = bytes(json)?;
                if *list {
                    Value::Array(bytes.into_iter().map(Value::from).collect())
                } else {
                    Value::Binary(bytes)
                }
            }
            (Type::List(item), Json::Array(items)) => self.list(items, |_| Some(item))?,
            (Type::Array(item, n), Json::Array(items)) if items.len() == *n => {
                self.list(items, |_| Some(item))?
            }
            (Type::Tuple(types), Json::Array(items)) if items.len() == types.len() => {
                self.list(items, |i| types.get(i))?
            }
            (Type::Tuple(types), Json::Array(items)) => {
                let why = format!("{} values are wanted, not {}", types.len(), items.len());
                return Err(Misfit { path: String::new(), why });
            }
            (Type::Array(_, n), Json::Array(items)) => {
                let why = format!("{n} values are wanted, not {}", items.len());
                return Err(Misfit { path: String::new(), why });
            }
            (Type::Map(key, value), json) => self.map(key, value, json)?,
            (Type::Struct(_, fields), Json::Object(object)) => {
                self.inside.push(of);
                let value = self.fields(fields, object)?;
                self.inside.pop();
                value
            }
            (Type::Enum(_, variants), json) => {
                self.inside.push(of);
                let value = self.variant(of, variants, json)?;
                self.inside.pop();
                value
            }
            (Type::Callback(arguments, result), Json::String(text)) => {
                self.callback(arguments, result, text)?
            }
            (Type::Receiver(item), Json::String(text)) if text == "@in" => {
                self.give(Given::Input((**item).clone()))
            }
            (Type::Sender(item), Json::String(text)) if text == "@out" => {
                self.give(Given::Output((**item).clone()))
            }
            (Type::Receiver(_), json) => {
                return Err(misfit(format_args!("\"@in\" for {of}"), json));
            }
            (Type::Sender(_), json) => {
                return Err(misfit(format_args!("\"@out\" for {of}"), json));
            }
            (Type::Callback(..), json) => {
                return Err(misfit(format_args!("\"@print\" for {of}"), json));
            }
            (of, json) => return Err(misfit(of, json)),
        })
    }

    fn give(&mut self, given: Given) -> Value {
        self.given.push(given);
        Value::from(self.given.len() - 1)
    }

    fn callback(&mut self, arguments: &[Type], result: &Type, text: &str) -> Result<Value, Misfit> {
        let json = Json::from(text);
        let wrong = || misfit("\"@print\" or \"@print=ANSWER\" for Callback", &json);
        let rest = text.strip_prefix("@print").ok_or_else(wrong)?;
        let answer = match rest.strip_prefix('=') {
            Some(answer) => {
                let answer = word(result, answer, false);
                let answer = answer.map_err(|why| Misfit { path: String::new(), why })?;
                let answer = encode(result, &answer, &mut Vec::new());
                answer.map_err(at("the answer after @print="))?
            }
            None if !rest.is_empty() => return Err(wrong()),
            None => match result {
                Type::Unit | Type::Option(_) | Type::Any => Value::Nil,
                result => {
                    let why = format!("the callback answers with {result}: write @print=ANSWER");
                    return Err(Misfit { path: String::new(), why });
                }
            },
        };
        let arguments = arguments.to_vec();
        Ok(self.give(Given::Print { arguments, answer: super::pack(&answer) }))
    }

    fn list<'t>(
        &mut self,
        items: &[Json],
        of: impl Fn(usize) -> Option<&'t Type>,
    ) -> Result<Value, Misfit>
    where
        't: 'a,
    {
        let mut values = Vec::with_capacity(items.len());
        for (i, json) in items.iter().enumerate() {
            let of = of(i).unwrap_or(&Type::Any);
            values.push(self.encode(of, json).map_err(at(format_args!("[{i}]")))?);
        }
        Ok(Value::Array(values))
    }

    fn map(&mut self, key: &'a Type, of: &'a Type, json: &Json) -> Result<Value, Misfit> {
        let mut pairs = Vec::new();
        match json {
            Json::Object(object) => {
                for (name, json) in object {
                    let step = format!("[{}]", Json::from(name.as_str()));
                    let text = Json::from(name.as_str());
                    let name = if key.is_text() || matches!(key, Type::Any | Type::Enum(..)) {
                        self.encode(key, &text)
                    } else {
                        // A number or a truth value as a key.
                        let json = serde_json::from_str(name).unwrap_or(text);
                        self.encode(key, &json)
                    };
                    let name = name.map_err(at(format_args!("the key {step}")))?;
                    pairs.push((name, self.encode(of, json).map_err(at(step))?));
                }
            }
            Json::Array(items) => {
                for (i, pair) in items.iter().enumerate() {
                    let step = format!("[{i}]");
                    let Json::Array(pair) = pair else {
                        return Err(at(step)(misfit("a pair [key, value]", pair)));
                    };
                    let [name, json] = pair.as_slice() else {
                        let pair = Json::Array(pair.clone());
                        return Err(at(step)(misfit("a pair [key, value]", &pair)));
                    };
                    let name = self.encode(key, name).map_err(at(format_args!("{step}[0]")))?;
                    let value = self.encode(of, json).map_err(at(format_args!("{step}[1]")))?;
                    pairs.push((name, value));
                }
            }
            json => return Err(misfit(format_args!("Map<{key}, {of}>"), json)),
        }
        Ok(Value::Map(pairs))
    }

    fn fields(
        &mut self,
        fields: &'a [(String, Type)],
        object: &serde_json::Map<String, Json>,
    ) -> Result<Value, Misfit> {
        if let Some(name) = object.keys().find(|name| !fields.iter().any(|(f, _)| f == *name)) {
            let known: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
            let why = format!("there is no field `{name}`; there is {}", known.join(", "));
            return Err(Misfit { path: String::new(), why });
        }
        let mut pairs = Vec::with_capacity(fields.len());
        for (name, of) in fields {
            let json = match (object.get(name), of) {
                (Some(json), _) => json,
                (None, Type::Option(_)) => &Json::Null,
                (None, _) => {
                    let why = format!("the field `{name}`, {of}, is missing");
                    return Err(Misfit { path: String::new(), why });
                }
            };
            let value = self.encode(of, json).map_err(at(format_args!(".{name}")))?;
            pairs.push((Value::from(name.as_str()), value));
        }
        Ok(Value::Map(pairs))
    }

    fn variant(
        &mut self,
        of: &Type,
        variants: &'a [(String, Type)],
        json: &Json,
    ) -> Result<Value, Misfit> {
        let (name, value) = match json {
            Json::String(name) => (name, None),
            Json::Object(object) if object.len() == 1 => match object.iter().next() {
                Some((name, value)) => (name, Some(value)),
                None => return Err(misfit(of, json)),
            },
            json => return Err(misfit(of, json)),
        };
        let Some((_, inner)) = variants.iter().find(|(variant, _)| variant == name) else {
            let known: Vec<_> = variants.iter().map(|(name, _)| name.as_str()).collect();
            let why = format!("{of} has no `{name}`; it has {}", known.join(", "));
            return Err(Misfit { path: String::new(), why });
        };
        match (inner, value) {
            (Type::Unit, None) => Ok(Value::from(name.as_str())),
            (inner, Some(value)) => {
                let value = self.encode(inner, value).map_err(at(format_args!(".{name}")))?;
                Ok(Value::Map(vec![(Value::from(name.as_str()), value)]))
            }
            (inner, None) => {
                let why = format!("`{name}` has a value: {{\"{name}\": {inner}}}");
                Err(Misfit { path: String::new(), why })
            }
        }
    }
}

fn int(name: &str, json: &Json) -> Option<Value> {
    let n: i128 = match json {
        Json::Number(n) => n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))?,
        Json::String(text) if name.ends_with("128") => match text.parse() {
            Ok(n) => n,
            Err(_) if name == "u128" => {
                let n: u128 = text.parse().ok()?;
                return Some(Value::Binary(n.to_be_bytes().to_vec()));
            }
            Err(_) => return None,
        },
        _ => return None,
    };
    let fits = match name {
        "i8" => i8::try_from(n).is_ok(),
        "i16" => i16::try_from(n).is_ok(),
        "i32" => i32::try_from(n).is_ok(),
        "i64" => i64::try_from(n).is_ok(),
        "u8" => u8::try_from(n).is_ok(),
        "u16" => u16::try_from(n).is_ok(),
        "u32" => u32::try_from(n).is_ok(),
        "u64" => u64::try_from(n).is_ok(),
        "u128" => n >= 0,
        _ => true,
    };
    if !fits {
        None
    } else if name.ends_with("128") {
        Some(Value::Binary(n.to_be_bytes().to_vec()))
    } else if let Ok(n) = u64::try_from(n) {
        Some(Value::from(n))
    } else {
        i64::try_from(n).ok().map(Value::from)
    }
}

fn bytes(json: &Json) -> Result<Vec<u8>, Misfit> {
    let wrong = || misfit("base64 or a list of numbers up to 255", json);
    match json {
        Json::String(text) => BASE64_STANDARD.decode(text).map_err(|_| wrong()),
        Json::Array(items) => {
            let byte = |json: &Json| u8::try_from(json.as_u64()?).ok();
            items.iter().map(byte).collect::<Option<_>>().ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// JSON for a type of which nothing is known.
fn natural(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Boolean(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Value::from(n),
            (None, Some(n)) => Value::from(n),
            (None, None) => Value::F64(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(natural).collect()),
        Json::Object(object) => {
            let pairs = object.iter();
            Value::Map(pairs.map(|(k, v)| (Value::from(k.as_str()), natural(v))).collect())
        }
    }
}
