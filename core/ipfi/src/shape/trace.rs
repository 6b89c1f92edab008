//! Asking a type for its shape: it is deserialised from nothing, and what it asks for is written
//! down. Each variant of an enum takes a round of its own.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use serde::de::{self, Deserialize, DeserializeSeed, IntoDeserializer, Visitor};

use super::Shape;

/// So many values are looked at in one round; a type that has more is too strange to compare.
const MAX_VALUES: usize = 10_000;
/// So many variants of enums are looked at, taking all combinations of nested ones.
const MAX_ROUNDS: usize = 1000;
/// Callbacks that take callbacks that take callbacks.
const MAX_NESTING: u32 = 8;

thread_local! {
    static STATE: RefCell<Nesting> = const { RefCell::new(Nesting { depth: 0, handle: None }) };
}

struct Nesting {
    depth: u32,
    /// What the value that is about to ask for a number really is.
    handle: Option<Shape>,
}

/// For the values that are not what they look like on the wire.
pub(crate) struct Traced;

impl Traced {
    /// Whether this is a tracing round and no value is wanted.
    pub(crate) fn is_active() -> bool {
        STATE.with_borrow(|state| state.depth > 0)
    }

    /// Says that the next number asked for is a handle of this shape.
    pub(crate) fn handle(shape: Shape) {
        STATE.with_borrow_mut(|state| state.handle = Some(shape));
    }
}

/// The shape of a type.
pub(crate) fn shape_of<T: Deserialize<'static>>() -> Shape {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            STATE.with_borrow_mut(|state| state.depth -= 1);
        }
    }
    if STATE.with_borrow(|state| state.depth) >= MAX_NESTING {
        return Shape::Any;
    }
    STATE.with_borrow_mut(|state| state.depth += 1);
    let _leave = Leave;
    let mut round = Round::default();
    let mut shape = Shape::Any;
    for _ in 0..MAX_ROUNDS {
        round.incomplete = false;
        round.advanced = false;
        round.values = 0;
        let result = T::deserialize(Tracer { round: &mut round, out: &mut shape });
        let go_on = if result.is_ok() { round.incomplete } else { round.advanced };
        round.restart();
        if !go_on {
            break;
        }
    }
    shape
}

#[derive(Default)]
struct Round {
    /// Enums by their place in the type: what is known of their variants.
    enums: BTreeMap<Vec<usize>, Vec<Option<Shape>>>,
    place: Vec<usize>,
    /// Named types that we are inside of.
    inside: Vec<&'static str>,
    variants_inside: Vec<(&'static str, usize)>,
    /// Inside of a type inside of itself: only an end is wanted.
    recursing: u32,
    values: usize,
    incomplete: bool,
    advanced: bool,
}

impl Round {
    fn restart(&mut self) {
        self.place.clear();
        self.inside.clear();
        self.variants_inside.clear();
        self.recursing = 0;
    }
}

#[derive(Debug)]
struct Stuck(String);

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stuck {}

impl de::Error for Stuck {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

struct Tracer<'a> {
    round: &'a mut Round,
    out: &'a mut Shape,
}

impl Tracer<'_> {
    fn inner<T: DeserializeSeed<'static>>(
        &mut self,
        step: usize,
        seed: T,
        wrap: impl FnOnce(Box<Shape>) -> Shape,
    ) -> Result<T::Value, Stuck> {
        let mut shape = Shape::Any;
        self.round.place.push(step);
        let value = seed.deserialize(Tracer { round: self.round, out: &mut shape });
        *self.out = wrap(Box::new(shape));
        if value.is_ok() {
            self.round.place.pop();
        }
        value
    }

    /// Enters a named type, unless we are in it.
    fn named<T>(
        self,
        name: &'static str,
        f: impl FnOnce(&mut Round) -> (Result<T, Stuck>, Shape),
    ) -> Result<T, Stuck> {
        let recursive = self.round.inside.contains(&name);
        self.round.inside.push(name);
        self.round.recursing += u32::from(recursive);
        let (value, shape) = f(self.round);
        self.round.recursing = self.round.recursing.saturating_sub(u32::from(recursive));
        self.round.inside.pop();
        *self.out = if recursive { Shape::Recursive(name) } else { shape };
        value
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident $name:literal $value:expr;)*) => { $(
        fn $method<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Stuck> {
            *self.out = Shape::Scalar($name);
            visitor.$visit($value)
        }
    )* };
}

impl de::Deserializer<'static> for Tracer<'_> {
    type Error = Stuck;

    scalars! {
        deserialize_bool visit_bool "bool" false;
        deserialize_i8 visit_i8 "i8" 1;
        deserialize_i16 visit_i16 "i16" 1;
        deserialize_i32 visit_i32 "i32" 1;
        deserialize_i64 visit_i64 "i64" 1;
        deserialize_i128 visit_i128 "i128" 1;
        deserialize_u8 visit_u8 "u8" 1;
        deserialize_u16 visit_u16 "u16" 1;
        deserialize_u64 visit_u64 "u64" 1;
        deserialize_u128 visit_u128 "u128" 1;
        deserialize_f32 visit_f32 "f32" 1.0;
        deserialize_f64 visit_f64 "f64" 1.0;
        deserialize_char visit_char "char" 'a';
        deserialize_str visit_borrowed_str "str" "";
        deserialize_string visit_borrowed_str "str" "";
        deserialize_bytes visit_borrowed_bytes "bytes" b"";
        deserialize_byte_buf visit_borrowed_bytes "bytes" b"";
        deserialize_identifier visit_borrowed_str "str" "";
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_u32<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Stuck> {
        let handle = STATE.with_borrow_mut(|state| state.handle.take());
        *self.out = handle.unwrap_or(Shape::Scalar("u32"));
        visitor.visit_u32(1)
    }

    fn deserialize_any<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Stuck> {
        *self.out = Shape::Any;
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Stuck> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Stuck> {
        *self.out = Shape::Unit;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'static>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'static>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        // It looks like what is in it.
        self.named(name, |round| {
            let mut shape = Shape::Any;
            let value = visitor.visit_newtype_struct(Tracer { round, out: &mut shape });
            (value, shape)
        })
    }

    fn deserialize_option<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Stuck> {
        if self.round.recursing > 0 {
            *self.out = Shape::Option(Box::default());
            return visitor.visit_none();
        }
        let mut shape = Shape::Any;
        self.round.place.push(0);
        let value = visitor.visit_some(Tracer { round: self.round, out: &mut shape });
        self.round.place.pop();
        *self.out = Shape::Option(Box::new(shape));
        value
    }

    fn deserialize_seq<V: Visitor<'static>>(mut self, visitor: V) -> Result<V::Value, Stuck> {
        struct One<'x, 'a> {
            tracer: &'x mut Tracer<'a>,
            left: usize,
        }
        impl de::SeqAccess<'static> for One<'_, '_> {
            type Error = Stuck;

            fn next_element_seed<T: DeserializeSeed<'static>>(
                &mut self,
                seed: T,
            ) -> Result<Option<T::Value>, Stuck> {
                if self.left == 0 {
                    return Ok(None);
                }
                self.left -= 1;
                self.tracer.inner(0, seed, Shape::List).map(Some)
            }
        }
        let left = usize::from(self.round.recursing == 0);
        *self.out = Shape::List(Box::default());
        visitor.visit_seq(One { tracer: &mut self, left })
    }

    fn deserialize_map<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Stuck> {
        struct One<'x> {
            round: &'x mut Round,
            key: Shape,
            value: Shape,
            left: usize,
        }
        impl de::MapAccess<'static> for One<'_> {
            type Error = Stuck;

            fn next_key_seed<K: DeserializeSeed<'static>>(
                &mut self,
                seed: K,
            ) -> Result<Option<K::Value>, Stuck> {
                if self.left == 0 {
                    return Ok(None);
                }
                self.left -= 1;
                let mut tracer = Tracer { round: self.round, out: &mut self.key };
                tracer.inner(0, seed, |shape| *shape).map(Some)
            }

            fn next_value_seed<T: DeserializeSeed<'static>>(
                &mut self,
                seed: T,
            ) -> Result<T::Value, Stuck> {
                let mut tracer = Tracer { round: self.round, out: &mut self.value };
                tracer.inner(1, seed, |shape| *shape)
            }
        }
        let left = usize::from(self.round.recursing == 0);
        let mut one = One { round: self.round, key: Shape::Any, value: Shape::Any, left };
        let value = visitor.visit_map(&mut one);
        *self.out = Shape::Map(Box::new(one.key), Box::new(one.value));
        value
    }

    fn deserialize_tuple<V: Visitor<'static>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        let mut shapes = Vec::new();
        let value = visitor.visit_seq(Several { round: self.round, shapes: &mut shapes, len });
        *self.out = Shape::Tuple(shapes);
        value
    }

    fn deserialize_tuple_struct<V: Visitor<'static>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        self.named(name, |round| {
            let mut shapes = Vec::new();
            let value = visitor.visit_seq(Several { round, shapes: &mut shapes, len });
            (value, Shape::Tuple(shapes))
        })
    }

    fn deserialize_struct<V: Visitor<'static>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        self.named(name, |round| {
            let mut shapes = Vec::new();
            let len = fields.len();
            let value = visitor.visit_seq(Several { round, shapes: &mut shapes, len });
            (value, Shape::Struct(name, fields.iter().copied().zip(shapes).collect()))
        })
    }

    fn deserialize_enum<V: Visitor<'static>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        if self.round.recursing > 0 || self.round.inside.contains(&name) {
            // Any variant will do that does not lead back here.
            let inside = &self.round.variants_inside;
            let variant = (0..variants.len()).find(|&v| !inside.contains(&(name, v)));
            let variant = variant.ok_or_else(|| Stuck("endless".into()))?;
            return self.named(name, |round| {
                round.recursing += 1;
                round.variants_inside.push((name, variant));
                let mut shape = Shape::Any;
                let value =
                    visitor.visit_enum(Variant { round, out: &mut shape, name, index: variant });
                round.variants_inside.pop();
                round.recursing = round.recursing.saturating_sub(1);
                (value, Shape::Recursive(name))
            });
        }
        self.named(name, |round| {
            let place = round.place.clone();
            let known = round.enums.entry(place.clone());
            let known = known.or_insert_with(|| vec![None; variants.len()]);
            let variant = known.iter().position(Option::is_none).unwrap_or(0);
            let before = std::mem::replace(&mut round.incomplete, false);
            round.place.push(variant);
            round.variants_inside.push((name, variant));
            let mut shape = Shape::Any;
            let value = visitor.visit_enum(Variant {
                round,
                out: &mut shape,
                name: variants.get(variant).copied().unwrap_or(name),
                index: variant,
            });
            let complete = !round.incomplete || value.is_err();
            round.incomplete |= before;
            round.variants_inside.pop();
            round.place.truncate(place.len());
            let mut all = Vec::new();
            if let Some(known) = round.enums.get_mut(&place) {
                if let Some(entry) = known.get_mut(variant)
                    && complete
                {
                    round.advanced |= entry.is_none();
                    *entry = Some(shape);
                }
                round.incomplete |= known.iter().any(Option::is_none);
                all.clone_from(known);
            }
            let shapes = all.into_iter().map(Option::unwrap_or_default);
            (value, Shape::Enum(name, variants.iter().copied().zip(shapes).collect()))
        })
    }
}

/// The values of a tuple or of the fields of a struct.
struct Several<'a> {
    round: &'a mut Round,
    shapes: &'a mut Vec<Shape>,
    len: usize,
}

impl de::SeqAccess<'static> for Several<'_> {
    type Error = Stuck;

    fn next_element_seed<T: DeserializeSeed<'static>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stuck> {
        let step = self.shapes.len();
        if step == self.len {
            return Ok(None);
        }
        self.round.values += 1;
        if self.round.values > MAX_VALUES {
            return Err(Stuck("too large".into()));
        }
        let mut shape = Shape::Any;
        let mut tracer = Tracer { round: self.round, out: &mut shape };
        let value = tracer.inner(step, seed, |shape| *shape);
        self.shapes.push(shape);
        value.map(Some)
    }
}

struct Variant<'a> {
    round: &'a mut Round,
    out: &'a mut Shape,
    name: &'static str,
    index: usize,
}

impl de::EnumAccess<'static> for Variant<'_> {
    type Error = Stuck;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'static>>(self, seed: T) -> Result<(T::Value, Self), Stuck> {
        let index = u32::try_from(self.index).unwrap_or(u32::MAX);
        let deserializer: de::value::U32Deserializer<Stuck> = index.into_deserializer();
        Ok((seed.deserialize(deserializer)?, self))
    }
}

impl de::VariantAccess<'static> for Variant<'_> {
    type Error = Stuck;

    fn unit_variant(self) -> Result<(), Stuck> {
        *self.out = Shape::Unit;
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'static>>(self, seed: T) -> Result<T::Value, Stuck> {
        Tracer { round: self.round, out: self.out }.inner(0, seed, |shape| *shape)
    }

    fn tuple_variant<V: Visitor<'static>>(self, len: usize, visitor: V) -> Result<V::Value, Stuck> {
        de::Deserializer::deserialize_tuple(
            Tracer { round: self.round, out: self.out },
            len,
            visitor,
        )
    }

    fn struct_variant<V: Visitor<'static>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stuck> {
        let mut shapes = Vec::new();
        let several = Several { round: self.round, shapes: &mut shapes, len: fields.len() };
        let value = visitor.visit_seq(several);
        *self.out = Shape::Struct(self.name, fields.iter().copied().zip(shapes).collect());
        value
    }
}
