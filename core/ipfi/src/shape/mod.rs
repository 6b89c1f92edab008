//! What a type looks like to serde: signatures for people, fingerprints for peers.

mod trace;

use std::fmt::{self, Write};

pub(crate) use trace::{Traced, shape_of};

/// What a type looks like to serde.
///
/// `Display` writes it as Rust would. The fingerprint that two sides compare is made of what matters:
/// kinds of values, names of fields and variants, their order; neither names of types nor widths
/// of integers, because codecs write a small number the same way at any width and refuse one that
/// does not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Nothing is known: the type looks at the value before it decides.
    #[default]
    Any,
    /// Nothing is written.
    Unit,
    /// A scalar, by its Rust name; `str` and `bytes` among them.
    Scalar(&'static str),
    /// Maybe a value.
    Option(Box<Shape>),
    /// Any number of values.
    List(Box<Shape>),
    /// Pairs of keys and values.
    Map(Box<Shape>, Box<Shape>),
    /// A fixed number of values.
    Tuple(Vec<Shape>),
    /// Named fields.
    Struct(&'static str, Vec<(&'static str, Shape)>),
    /// One of several variants.
    Enum(&'static str, Vec<(&'static str, Shape)>),
    /// A type inside itself.
    Recursive(&'static str),
    /// A callback: arguments and result.
    Callback(Box<Shape>, Box<Shape>),
    /// The sending half of a stream of such items.
    Sender(Box<Shape>),
    /// The receiving half.
    Receiver(Box<Shape>),
}

impl Shape {
    /// Whether a value of this shape may take no bytes at all, so that a list of them can be of
    /// any length.
    fn may_be_empty(&self) -> bool {
        match self {
            Self::Unit => true,
            Self::Tuple(items) => items.iter().all(Self::may_be_empty),
            Self::Struct(_, fields) => fields.iter().all(|(_, shape)| shape.may_be_empty()),
            _ => false,
        }
    }

    /// Whether there are lists of things that take no bytes: nine bytes make such a list endless.
    pub(crate) fn has_endless_lists(&self) -> bool {
        match self {
            Self::List(item) => item.may_be_empty() || item.has_endless_lists(),
            Self::Map(key, value) => {
                (key.may_be_empty() && value.may_be_empty())
                    || key.has_endless_lists()
                    || value.has_endless_lists()
            }
            Self::Option(inner) | Self::Sender(inner) | Self::Receiver(inner) => {
                inner.has_endless_lists()
            }
            Self::Callback(args, result) => args.has_endless_lists() || result.has_endless_lists(),
            Self::Tuple(items) => items.iter().any(Self::has_endless_lists),
            Self::Struct(_, fields) | Self::Enum(_, fields) => {
                fields.iter().any(|(_, shape)| shape.has_endless_lists())
            }
            Self::Any | Self::Unit | Self::Scalar(_) | Self::Recursive(_) => false,
        }
    }

    /// How many values there are one after another.
    pub(crate) fn arity(&self) -> usize {
        match self {
            Self::Tuple(items) => items.len(),
            _ => 0,
        }
    }

    /// What peers compare.
    fn canonical(&self, out: &mut Fnv) {
        let fields = |out: &mut Fnv, tag: &str, fields: &[(&'static str, Self)]| {
            out.text(tag);
            for (name, shape) in fields {
                out.text(name);
                shape.canonical(out);
            }
            out.text("}");
        };
        match self {
            Self::Any => out.text("any"),
            Self::Unit => out.text("()"),
            Self::Scalar(name) => out.text(match *name {
                "i16" | "i32" | "i64" | "i128" => "int",
                "u16" | "u32" | "u64" | "u128" => "uint",
                other => other,
            }),
            Self::Option(inner) => {
                out.text("option");
                inner.canonical(out);
            }
            // Bytes are a list of bytes, whoever writes them in whatever way.
            Self::List(item) if **item == Self::Scalar("u8") => out.text("bytes"),
            Self::List(item) => {
                out.text("list");
                item.canonical(out);
            }
            Self::Map(key, value) => {
                out.text("map");
                key.canonical(out);
                value.canonical(out);
            }
            Self::Tuple(items) => {
                out.text("(");
                for item in items {
                    item.canonical(out);
                }
                out.text(")");
            }
            Self::Struct(_, all) => fields(out, "struct{", all),
            Self::Enum(_, all) => fields(out, "enum{", all),
            Self::Recursive(_) => out.text("self"),
            Self::Callback(args, result) => {
                out.text("callback");
                args.canonical(out);
                result.canonical(out);
            }
            Self::Sender(item) => {
                out.text("sender");
                item.canonical(out);
            }
            Self::Receiver(item) => {
                out.text("receiver");
                item.canonical(out);
            }
        }
    }
}

/// What two sides compare before the first call of a procedure: never 0.
pub(crate) fn fingerprint(args: &Shape, result: &Shape) -> u64 {
    let mut out = Fnv::new();
    args.canonical(&mut out);
    out.text("->");
    result.canonical(&mut out);
    out.0.max(1)
}

/// The signature as Rust would write it: `(i64, i64) -> i64`.
pub(crate) fn signature(args: &Shape, result: &Shape) -> String {
    let args = match args {
        Shape::Unit => "()".to_owned(),
        args => args.to_string(),
    };
    if *result == Shape::Unit { args } else { format!("{args} -> {result}") }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_char('_'),
            Self::Unit => f.write_str("()"),
            Self::Scalar("str") => f.write_str("String"),
            Self::Scalar("bytes") => f.write_str("Bytes"),
            Self::Scalar(name) | Self::Recursive(name) => f.write_str(name),
            Self::Option(inner) => write!(f, "Option<{inner}>"),
            Self::List(item) => write!(f, "Vec<{item}>"),
            Self::Map(key, value) => write!(f, "Map<{key}, {value}>"),
            Self::Tuple(items) => match items.as_slice() {
                [first, rest @ ..] if rest.len() > 3 && rest.iter().all(|item| item == first) => {
                    write!(f, "[{first}; {}]", items.len())
                }
                [only] => write!(f, "({only})"),
                items => {
                    f.write_char('(')?;
                    for (i, item) in items.iter().enumerate() {
                        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                    }
                    f.write_char(')')
                }
            },
            Self::Struct(name, fields) => {
                write!(f, "{name} {{ ")?;
                for (i, (name, shape)) in fields.iter().enumerate() {
                    write!(f, "{}{name}: {shape}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(" }")
            }
            Self::Enum("Result", variants) if variants.len() == 2 => {
                write!(f, "Result<{}, {}>", variants[0].1, variants[1].1)
            }
            Self::Enum(name, variants) => {
                write!(f, "{name} {{ ")?;
                for (i, (name, shape)) in variants.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { " | " })?;
                    match shape {
                        Self::Unit => f.write_str(name)?,
                        Self::Tuple(_) => write!(f, "{name}{shape}")?,
                        Self::Struct(own, _) if own == name => shape.fmt(f)?,
                        shape => write!(f, "{name}({shape})")?,
                    }
                }
                f.write_str(" }")
            }
            Self::Callback(args, result) if **result == Self::Unit => {
                write!(f, "Callback<{args}>")
            }
            Self::Callback(args, result) => write!(f, "Callback<{args}, {result}>"),
            Self::Sender(item) => write!(f, "Sender<{item}>"),
            Self::Receiver(item) => write!(f, "Receiver<{item}>"),
        }
    }
}

/// FNV-1a, 64 bits (RFC 9923): the same everywhere, for ever.
#[derive(Clone, Copy)]
pub(crate) struct Fnv(pub(crate) u64);

impl Fnv {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

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

    #[derive(Serialize, Deserialize)]
    enum Term {
        Sum(Box<Term>, Box<Term>),
        Number(i64),
    }

    fn text<T: Deserialize<'static>>() -> String {
        shape_of::<T>().to_string()
    }

    #[test]
    fn shapes_read_like_rust() {
        assert_eq!(text::<(i64, String)>(), "(i64, String)");
        assert_eq!(text::<(&str,)>(), "(String)");
        assert_eq!(text::<BTreeMap<u8, Option<bool>>>(), "Map<u8, Option<bool>>");
        assert_eq!(text::<Result<Point, String>>(), "Result<Point { x: f64, y: f64 }, String>");
        assert_eq!(
            text::<Picture>(),
            "Picture { Group(Vec<Picture>) | Dot(Point { x: f64, y: f64 }) | \
             Line { from: Point { x: f64, y: f64 }, to: Point { x: f64, y: f64 }, \
             dashes: Option<[u8; 5]> } | Nothing }"
        );
        assert_eq!(text::<Term>(), "Term { Sum(Term, Term) | Number(i64) }");
        assert_eq!(text::<crate::Sender<u32>>(), "Sender<u32>");
        assert_eq!(
            text::<crate::Callback<(u32, crate::Receiver<Point>), String>>(),
            "Callback<(u32, Receiver<Point { x: f64, y: f64 }>), String>"
        );
    }

    #[test]
    fn fingerprints_tell_what_a_codec_would_misread() {
        fn print<T: Deserialize<'static>>() -> u64 {
            fingerprint(&shape_of::<T>(), &Shape::Unit)
        }
        assert_eq!(print::<(i32, i32)>(), print::<(i64, i64)>());
        assert_ne!(print::<(u32, u32)>(), print::<(i64, i64)>());
        assert_ne!(print::<(u8,)>(), print::<(u16,)>());
        assert_eq!(print::<(&str, Vec<u8>)>(), print::<(String, crate::Bytes)>());
        assert_ne!(print::<(String,)>(), print::<(Option<String>,)>());
        assert_ne!(print::<Result<u8, u8>>(), print::<Result<u8, i8>>());
    }

    /// A shape of any kind, with other names of types and widths of integers if `other`; a change of
    /// what matters at the place `change`, counted from there.
    fn any_shape(random: &mut u64, other: bool, change: &mut isize, depth: u32) -> Shape {
        let mut below = |n: usize| {
            *random ^= *random >> 12;
            *random ^= *random << 25;
            *random ^= *random >> 27;
            let number = random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
            usize::try_from(number).unwrap() % n
        };
        let kind = below(if depth == 0 { 3 } else { 11 });
        let (pick, width) = (below(6), usize::from(other));
        *change -= 1;
        let changed = *change == 0;
        let mut inner = |n: usize| -> Vec<Shape> {
            (0..n).map(|_| any_shape(random, other, change, depth - 1)).collect()
        };
        let mut one = || Box::new(inner(1).remove(0));
        let name = if other { "Other" } else { "Name" };
        let fields = |shapes: Vec<Shape>| {
            let first = if changed { "changed" } else { "a" };
            [first, "b", "c", "d"].into_iter().zip(shapes).collect::<Vec<_>>()
        };
        match kind {
            0 if changed => Shape::Any,
            0 => Shape::Unit,
            1 if changed => Shape::Scalar("bool"),
            1 => Shape::Scalar([["i16", "i64"], ["u16", "u128"], ["u64", "u32"]][pick % 3][width]),
            2 if changed => Shape::Scalar("f32"),
            2 => Shape::Scalar(["i8", "u8", "f64", "str", "char", "bytes"][pick]),
            3 if changed => Shape::List(one()),
            3 => Shape::Option(one()),
            4 if changed => Shape::Option(one()),
            4 => Shape::List(one()),
            5 if changed => Shape::Tuple(vec![*one(), *one()]),
            5 => Shape::Map(one(), one()),
            6 => {
                let mut shapes = inner(1 + pick % 3);
                if changed {
                    shapes.push(Shape::Unit);
                }
                Shape::Tuple(shapes)
            }
            7 => Shape::Struct(name, fields(inner(1 + pick % 4))),
            8 => Shape::Enum(name, fields(inner(1 + pick % 4))),
            9 if changed => Shape::Sender(one()),
            9 => Shape::Receiver(one()),
            _ if changed => Shape::Tuple(vec![*one(), *one()]),
            _ => Shape::Callback(one(), one()),
        }
    }

    #[test]
    fn fingerprints_see_what_matters_and_nothing_else() {
        let print = |shape: &Shape| fingerprint(shape, &Shape::Unit);
        for seed in 1..20_000u64 {
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut left = 0;
            let shape = any_shape(&mut seed.clone(), false, &mut left, 4);
            let size = -left;
            let other = any_shape(&mut seed.clone(), true, &mut 0, 4);
            assert_eq!(print(&shape), print(&other), "{shape} and {other}");
            let mut at = 1 + isize::try_from(seed >> 33).unwrap() % size;
            let changed = any_shape(&mut seed.clone(), false, &mut at, 4);
            assert_ne!(print(&shape), print(&changed), "{shape} and {changed}");
            let _ = shape.has_endless_lists();
        }
    }

    #[test]
    fn lists_of_nothing_are_found() {
        assert!(shape_of::<(u8, Vec<()>)>().has_endless_lists());
        assert!(shape_of::<Option<Vec<((), [(); 3])>>>().has_endless_lists());
        assert!(!shape_of::<(Vec<u8>, ())>().has_endless_lists());
    }
}
