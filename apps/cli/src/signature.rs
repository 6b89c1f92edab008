//! Signatures, as descriptions tell them: read from text into types.

use std::fmt;

/// What a procedure takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    /// `None`: nothing is known of the arguments.
    pub(crate) arguments: Option<Vec<Type>>,
    pub(crate) result: Type,
    /// `()` travels as nothing, a list of no arguments as an empty list.
    unit: bool,
}

/// What a value looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Not known: JSON is taken as it is.
    Any,
    Unit,
    Bool,
    /// A whole number: its name and its range.
    Int(&'static str),
    /// `f32` or `f64`.
    Float(&'static str),
    Char,
    Text,
    /// Bytes in one piece, or as a list of numbers.
    Bytes {
        list: bool,
    },
    Option(Box<Type>),
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Tuple(Vec<Type>),
    /// So many of the same.
    Array(Box<Type>, usize),
    Struct(String, Vec<(String, Type)>),
    Enum(String, Vec<(String, Type)>),
    /// The type of this name that this one is inside of.
    Named(String),
    Callback(Vec<Type>, Box<Type>),
    /// The callee sends such items to us.
    Sender(Box<Type>),
    /// The callee reads such items from us.
    Receiver(Box<Type>),
}

const INTS: [&str; 10] = ["i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128"];
/// Types inside of types; a stranger's description may not exhaust our stack.
const MAX_DEPTH: usize = 64;

impl Type {
    /// A stream or a callback, which nobody has to write down.
    pub(crate) fn is_handle(&self) -> bool {
        matches!(self, Self::Callback(..) | Self::Sender(_) | Self::Receiver(_))
    }

    /// Whether it is text, which may go without quotes.
    pub(crate) fn is_text(&self) -> bool {
        match self {
            Self::Text | Self::Char => true,
            Self::Option(inner) => inner.is_text(),
            _ => false,
        }
    }

    /// Whether a word that does not begin like JSON of this type can only be a string without its
    /// quotes.
    pub(crate) fn takes_bare(&self, word: &str) -> bool {
        let word = word.trim_start();
        match self {
            Self::Text | Self::Char => !word.starts_with('"'),
            Self::Bytes { .. } => !word.starts_with(['"', '[']),
            Self::Float(_) => matches!(word, "NaN" | "inf" | "-inf"),
            Self::Enum(..) => !word.starts_with(['"', '{']),
            Self::Option(inner) => word != "null" && inner.takes_bare(word),
            Self::Callback(..) | Self::Sender(_) | Self::Receiver(_) => word.starts_with('@'),
            _ => false,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("_"),
            Self::Unit => f.write_str("()"),
            Self::Bool => f.write_str("bool"),
            Self::Int(name) | Self::Float(name) => f.write_str(name),
            Self::Char => f.write_str("char"),
            Self::Text => f.write_str("String"),
            Self::Bytes { list: false } => f.write_str("Bytes"),
            Self::Bytes { list: true } => f.write_str("Vec<u8>"),
            Self::Option(inner) => write!(f, "Option<{inner}>"),
            Self::List(item) => write!(f, "Vec<{item}>"),
            Self::Map(key, value) => write!(f, "Map<{key}, {value}>"),
            Self::Tuple(items) => {
                f.write_str("(")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
            Self::Array(item, n) => write!(f, "[{item}; {n}]"),
            Self::Struct(name, _) | Self::Enum(name, _) | Self::Named(name) => f.write_str(name),
            Self::Callback(..) => f.write_str("Callback"),
            Self::Sender(item) => write!(f, "Sender<{item}>"),
            Self::Receiver(item) => write!(f, "Receiver<{item}>"),
        }
    }
}

impl Signature {
    /// For a procedure of which nothing is known.
    pub(crate) fn unknown() -> Self {
        Self { arguments: None, result: Type::Any, unit: false }
    }

    /// Whether arguments that are none travel as nothing at all.
    pub(crate) fn is_unit(&self) -> bool {
        self.unit
    }

    /// Reads a signature. The error says what is not understood, and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0 };
        let arguments = parser.parse_type(0)?;
        let result = if parser.take("->") { parser.parse_type(0)? } else { Type::Unit };
        parser.space();
        if parser.at < text.len() {
            return Err(parser.unexpected("the end"));
        }
        let unit = arguments == Type::Unit;
        let arguments = match arguments {
            Type::Unit => Some(Vec::new()),
            Type::Tuple(items) => Some(items),
            Type::Array(item, n) if n <= MAX_DEPTH => Some(vec![*item; n]),
            _ => None,
        };
        Ok(Self { arguments, result, unit })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, what: &str) -> bool {
        self.space();
        let there = self.rest().starts_with(what);
        if there {
            self.at += what.len();
        }
        there
    }

    fn expect(&mut self, what: &str) -> Result<(), String> {
        if self.take(what) { Ok(()) } else { Err(self.unexpected(what)) }
    }

    fn unexpected(&self, wanted: &str) -> String {
        let rest: String = self.rest().chars().take(20).collect();
        format!("{wanted} was expected at `{rest}`, byte {} of `{}`", self.at, self.text)
    }

    fn name(&mut self) -> Result<&'a str, String> {
        self.space();
        let rest = self.rest();
        let raw = if rest.starts_with("r#") { 2 } else { 0 };
        let ends = |c: char| !(c.is_alphanumeric() || c == '_' || c == '-');
        let tail = rest.get(raw..).unwrap_or_default();
        let end = raw + tail.find(ends).unwrap_or(tail.len());
        // An arrow is no part of a name.
        let end = rest.get(..end).map_or(end, |name| name.trim_end_matches('-').len());
        if end == raw {
            return Err(self.unexpected("a type"));
        }
        self.at += end;
        Ok(rest.get(..end).unwrap_or_default())
    }

    /// Everything up to `close`, with commas between.
    fn types(&mut self, close: &str, depth: usize) -> Result<Vec<Type>, String> {
        let mut items = Vec::new();
        if self.take(close) {
            return Ok(items);
        }
        loop {
            items.push(self.parse_type(depth)?);
            if self.take(close) {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }

    fn one(&mut self, depth: usize) -> Result<Box<Type>, String> {
        let inner = self.parse_type(depth)?;
        self.expect(">")?;
        Ok(Box::new(inner))
    }

    fn parse_type(&mut self, depth: usize) -> Result<Type, String> {
        let depth = depth + 1;
        if depth > MAX_DEPTH {
            return Err(self.unexpected("a type that is less deep"));
        }
        if self.take("(") {
            let items = self.types(")", depth)?;
            return Ok(if items.is_empty() { Type::Unit } else { Type::Tuple(items) });
        }
        if self.take("[") {
            let item = self.parse_type(depth)?;
            self.expect(";")?;
            let count = self.name()?.parse::<u16>().map_err(|_| self.unexpected("a length"))?;
            self.expect("]")?;
            return Ok(Type::Array(Box::new(item), count.into()));
        }
        let name = self.name()?;
        if let Some(int) = INTS.iter().find(|int| **int == name) {
            return Ok(Type::Int(int));
        }
        Ok(match name {
            "_" => Type::Any,
            "bool" => Type::Bool,
            "f32" => Type::Float("f32"),
            "f64" => Type::Float("f64"),
            "char" => Type::Char,
            "String" => Type::Text,
            "Bytes" => Type::Bytes { list: false },
            "Option" if self.take("<") => Type::Option(self.one(depth)?),
            "Sender" if self.take("<") => Type::Sender(self.one(depth)?),
            "Receiver" if self.take("<") => Type::Receiver(self.one(depth)?),
            "Vec" if self.take("<") => match self.one(depth)? {
                item if *item == Type::Int("u8") => Type::Bytes { list: true },
                item => Type::List(item),
            },
            "Map" if self.take("<") => {
                let key = self.parse_type(depth)?;
                self.expect(",")?;
                Type::Map(Box::new(key), self.one(depth)?)
            }
            "Result" if self.take("<") => {
                let ok = self.parse_type(depth)?;
                self.expect(",")?;
                let variants = vec![("Ok".into(), ok), ("Err".into(), *self.one(depth)?)];
                Type::Enum("Result".into(), variants)
            }
            "Callback" if self.take("<") => {
                let arguments = match self.parse_type(depth)? {
                    Type::Tuple(items) => items,
                    Type::Unit => Vec::new(),
                    other => vec![other],
                };
                let result = if self.take(",") { self.parse_type(depth)? } else { Type::Unit };
                self.expect(">")?;
                Type::Callback(arguments, Box::new(result))
            }
            name if self.take("{") => self.fields(name, depth)?,
            name => Type::Named(name.into()),
        })
    }

    /// What is between the braces of a struct or an enum.
    fn fields(&mut self, name: &str, depth: usize) -> Result<Type, String> {
        let mut fields = Vec::new();
        if self.take("}") {
            return Ok(Type::Struct(name.into(), fields));
        }
        let first = self.name()?;
        if self.take(":") {
            fields.push((first.into(), self.parse_type(depth)?));
            while !self.take("}") {
                self.expect(",")?;
                let field = self.name()?;
                self.expect(":")?;
                fields.push((field.into(), self.parse_type(depth)?));
            }
            return Ok(Type::Struct(name.into(), fields));
        }
        let mut variant = first;
        loop {
            let of = if self.take("(") {
                let mut items = self.types(")", depth)?;
                if items.len() == 1 { items.remove(0) } else { Type::Tuple(items) }
            } else if self.take("{") {
                self.fields(variant, depth)?
            } else {
                Type::Unit
            };
            fields.push((variant.into(), of));
            if self.take("}") {
                return Ok(Type::Enum(name.into(), fields));
            }
            self.expect("|")?;
            variant = self.name()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use ipfi::{Bytes, Callback, Interface, Receiver, Sender};
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Point {
        x: f64,
        y: f64,
    }

    #[derive(Serialize, Deserialize)]
    enum Picture {
        Group(Vec<Picture>),
        Dot(Point),
        Line { from: Point, to: Point, dashes: Option<[u8; 5]> },
        Nothing,
    }

    /// Reads the signature that the interface itself tells.
    fn told<M>(handler: impl ipfi::Handler<M>) -> Signature {
        let interface = Interface::new().procedure("f", handler);
        let text = format!("{interface:?}"); // {"f": "(i64) -> i64"}
        let text = text.strip_prefix("{\"f\": \"").unwrap().strip_suffix("\"}").unwrap();
        Signature::parse(text).unwrap()
    }

    #[test]
    fn what_interfaces_tell_is_understood() {
        assert_eq!(
            told(|a: i64, b: String| a + i64::try_from(b.len()).unwrap()),
            Signature {
                arguments: Some(vec![Type::Int("i64"), Type::Text]),
                result: Type::Int("i64"),
                unit: false
            }
        );
        let none = told(|| ());
        assert_eq!((none.arguments.clone(), none.result.clone()), (Some(vec![]), Type::Unit));
        assert!(none.is_unit());
        let signature = told(|p: Picture, m: BTreeMap<u8, Option<bool>>, b: Bytes, v: Vec<u8>| {
            drop((p, m, b, v));
            Ok::<_, String>([0u16; 9])
        });
        let arguments = signature.arguments.unwrap();
        let Type::Enum(name, variants) = &arguments[0] else { panic!("{arguments:?}") };
        assert_eq!(name, "Picture");
        let names: Vec<_> = variants.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Group", "Dot", "Line", "Nothing"]);
        assert_eq!(variants[0].1, Type::List(Box::new(Type::Named("Picture".into()))));
        assert!(matches!(&variants[1].1, Type::Struct(_, fields) if fields.len() == 2));
        assert!(matches!(&variants[2].1, Type::Struct(_, fields) if fields.len() == 3));
        assert_eq!(variants[3].1, Type::Unit);
        assert_eq!(arguments[2], Type::Bytes { list: false });
        assert_eq!(arguments[3], Type::Bytes { list: true });
        let Type::Enum(_, variants) = &signature.result else { panic!("{:?}", signature.result) };
        assert_eq!(variants[0].1, Type::Array(Box::new(Type::Int("u16")), 9));
        let handles = told(
            |s: Sender<u32>,
             r: Receiver<Point>,
             c: Callback<(u32, String), bool>,
             d: Callback<()>| {
                drop((s, r, c, d));
            },
        );
        let arguments = handles.arguments.unwrap();
        assert_eq!(arguments[0], Type::Sender(Box::new(Type::Int("u32"))));
        assert!(matches!(&arguments[2], Type::Callback(a, r) if a.len() == 2 && **r == Type::Bool));
        assert_eq!(arguments[3], Type::Callback(vec![], Box::new(Type::Unit)));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let error = Signature::parse("(i64, Vec<u8) -> ()").unwrap_err();
        assert_eq!(error, "> was expected at `) -> ()`, byte 12 of `(i64, Vec<u8) -> ()`");
        assert!(Signature::parse(&"(".repeat(100_000)).is_err());
        assert!(Signature::parse("[u8; 99999]").is_err());
        // A short text does not become a large type.
        assert!(Signature::parse("[[[[u8; 65535]; 65535]; 65535]; 65535]").is_ok());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-zA-Z0-9_<>(),;:|{} \\[\\]-]{0,60}") {
            let _ = Signature::parse(&text);
        }
    }
}
