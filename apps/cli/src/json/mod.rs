//! JSON for people, `MessagePack` for the wire, and a signature between them.

mod decode;
mod encode;

pub(crate) use self::{
    decode::{decode, decode_with_handles},
    encode::{Given, beyond_64_bits, encode, place, too_long, word},
};

use rmpv::Value;

/// Values inside of values; a stranger's bytes may not exhaust our stack.
const MAX_DEPTH: usize = 256;

/// Reads one `MessagePack` value that takes all of `bytes`.
pub(crate) fn unpack(mut bytes: &[u8]) -> Result<Value, String> {
    let value = rmpv::decode::read_value_with_max_depth(&mut bytes, MAX_DEPTH)
        .map_err(|error| format!("not MessagePack: {error}"))?;
    match bytes.len() {
        0 => Ok(value),
        more => Err(format!("not MessagePack: {more} bytes too many")),
    }
}

/// Writes a value.
pub(crate) fn pack(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a vector cannot fail.
    let _ = rmpv::encode::write_value(&mut bytes, value);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;

    use super::*;
    use crate::signature::{Signature, Type};

    fn type_of(text: &str) -> Type {
        let signature = Signature::parse(&format!("({text})")).unwrap();
        signature.arguments.unwrap().remove(0)
    }

    /// There and back.
    fn round(of: &str, json: &str) -> String {
        let of = type_of(of);
        let value = word(&of, json, false).unwrap_or_else(|error| panic!("{error}"));
        let mut given = Vec::new();
        let packed = encode(&of, &value, &mut given).unwrap_or_else(|error| panic!("{error}"));
        decode(&of, &unpack(&pack(&packed)).unwrap())
    }

    fn misfit(of: &str, json: &str) -> String {
        let of = type_of(of);
        match word(&of, json, false) {
            Ok(value) => encode(&of, &value, &mut Vec::new()).unwrap_err().to_string(),
            Err(error) => error,
        }
    }

    #[test]
    fn values_survive() {
        for (of, json) in [
            ("i64", "-9223372036854775808"),
            ("u64", "18446744073709551615"),
            ("u64", "9007199254740993"),
            ("u128", "\"340282366920938463463374607431768211455\""),
            ("i128", "-5"),
            ("f64", "0.1"),
            ("f64", "1.0"),
            ("f64", "\"NaN\""),
            ("f32", "\"-inf\""),
            ("bool", "true"),
            ("char", "\"ß\""),
            ("String", "\"a \\\"b\\\" \\u0007 c\""),
            ("Bytes", "\"AAECAw==\""),
            ("Vec<u8>", "\"AAECAw==\""),
            ("Option<i64>", "null"),
            ("Option<i64>", "7"),
            ("Vec<Option<bool>>", "[true,null]"),
            ("Map<String, u8>", "{\"a\":1,\"b\":2}"),
            ("Map<u64, bool>", "{\"18446744073709551615\":true}"),
            ("Map<(u8, u8), bool>", "[[[1,2],true]]"),
            ("(u8, String)", "[1,\"x\"]"),
            ("[f64; 2]", "[1.5,2.5]"),
            ("P { y: f64, x: f64 }", "{\"y\":1.5,\"x\":2.5}"),
            ("E { A | B(u8) | C(u8, u8) | D { x: u8 } }", "\"A\""),
            ("E { A | B(u8) | C(u8, u8) | D { x: u8 } }", "{\"B\":1}"),
            ("E { A | B(u8) | C(u8, u8) | D { x: u8 } }", "{\"C\":[1,2]}"),
            ("E { A | B(u8) | C(u8, u8) | D { x: u8 } }", "{\"D\":{\"x\":3}}"),
            ("T { Sum(T, T) | N(i64) }", "{\"Sum\":[{\"N\":1},{\"Sum\":[{\"N\":2},{\"N\":3}]}]}"),
            ("Result<(), String>", "{\"Ok\":null}"),
            ("_", "{\"a\":[1,2.5,null,\"x\"]}"),
        ] {
            assert_eq!(round(of, json), json, "{of}");
        }
        // What people may write as well.
        assert_eq!(round("Bytes", "[0,1,2,3]"), "\"AAECAw==\"");
        assert_eq!(round("f64", "3"), "3.0");
        assert_eq!(round("i128", "\"-5\""), "-5");
        let most = "340282366920938463463374607431768211455";
        assert_eq!(round("u128", most), format!("\"{most}\""));
        assert_eq!(round("f64", "NaN"), "\"NaN\"");
        assert_eq!(round("Option<f32>", "-inf"), "\"-inf\"");
        assert_eq!(round("f64", "18446744073709551616"), "1.8446744073709552e19");
        assert_eq!(round("_", "[1e20,18446744073709551615]"), "[1e20,18446744073709551615]");
        let quoted = "[\"\\\"18446744073709551616\"]";
        assert_eq!(round("_", quoted), quoted);
        assert_eq!(round("String", "plain words"), "\"plain words\"");
        assert_eq!(round("Bytes", "1234"), "\"1234\"");
        assert_eq!(round("E { A | B }", "B"), "\"B\"");
        assert_eq!(round("Option<String>", "nobody"), "\"nobody\"");
        assert_eq!(round("String", "null"), "\"null\"");
        assert_eq!(round("P { a: Option<u8>, b: u8 }", "{\"b\":1}"), "{\"a\":null,\"b\":1}");
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        insta::assert_snapshot!(
            [
                ("i8", "200"),
                ("u64", "-1"),
                ("u64", "1.5"),
                ("u64", "18446744073709551616"),
                ("_", "[1, -18446744073709551616]"),
                ("i64", "\"7\""),
                ("f64", "nan"),
                ("bool", "1"),
                ("char", "\"ab\""),
                ("String", "\"unfinished"),
                ("Bytes", "\"%%\""),
                ("Bytes", "[0, 256]"),
                ("Vec<P { x: f64, y: f64 }>", "[{\"x\": 1, \"y\": 2}, {\"x\": 1, \"y\": \"up\"}]"),
                ("P { x: f64, y: f64 }", "{\"x\": 1}"),
                ("P { x: f64, y: f64 }", "{\"x\": 1, \"y\": 2, \"z\": 3}"),
                ("P { x: f64, y: f64 }", "[1, 2]"),
                ("E { On | Off }", "\"Of\""),
                ("E { On | Level(u8) }", "{\"Level\": 300}"),
                ("(u8, u8)", "[1, 2, 3]"),
                ("[u8; 3]", "[1, 2]"),
                ("Map<u8, bool>", "{\"300\": true}"),
                ("T { Sum(T, T) | N(i64) }", "{\"Sum\": [{\"N\": 1}, {\"N\": true}]}"),
                ("Receiver<u8>", "[1, 2, 3]"),
                ("Callback<(u8), u8>", "\"@print\""),
                ("Callback<(u8), u8>", "\"@print=300\""),
                ("i64", "{"),
                ("()", "1"),
            ]
            .map(|(of, json)| format!("{of}  <-  {json}\n    {}", misfit(of, json)))
            .join("\n")
        );
    }

    #[test]
    fn nothing_does_anything_to_a_terminal() {
        let text = "\u{7f} \u{9b}2J \u{202e}exe.\u{2066} \u{1b} \"\\ ß \u{2028}";
        let json = decode(&Type::Text, &Value::from(text));
        assert_eq!(json, r#""\u007f \u009b2J \u202eexe.\u2066 \u001b \"\\ ß \u2028""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        // Names of fields and keys are strings as well.
        let map = Value::Map(vec![(Value::from("\u{85}"), Value::Nil)]);
        assert_eq!(decode(&Type::Any, &map), r#"{"\u0085":null}"#);
        assert_eq!(crate::log::clean("a\u{9b}\u{202e}b"), "a\u{fffd}\u{fffd}b");
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Kind {
        Plain,
        One(u64),
        Two(i8, String),
        Three { point: Option<(f64, f32)>, bytes: ipfi::Bytes },
    }

    #[test]
    fn it_is_what_serde_writes() {
        let kinds = "Vec<Kind { Plain | One(u64) | Two(i8, String) | \
            Three { point: Option<(f64, f32)>, bytes: Bytes } }>";
        let values = vec![
            Kind::Plain,
            Kind::One(u64::MAX),
            Kind::Two(-1, "two".into()),
            Kind::Three { point: Some((0.5, 0.25)), bytes: vec![1, 2].into() },
            Kind::Three { point: None, bytes: vec![].into() },
        ];
        let mut bytes = Vec::new();
        ipfi::Codec::MessagePack.encode(&values, &mut bytes).unwrap();
        let of = type_of(kinds);
        let json = decode(&of, &unpack(&bytes).unwrap());
        assert_eq!(
            json,
            "[\"Plain\",{\"One\":18446744073709551615},{\"Two\":[-1,\"two\"]},\
             {\"Three\":{\"point\":[0.5,0.25],\"bytes\":\"AQI=\"}},\
             {\"Three\":{\"point\":null,\"bytes\":\"\"}}]"
        );
        let back = encode(&of, &word(&of, &json, false).unwrap(), &mut Vec::new()).unwrap();
        let back: Vec<Kind> = ipfi::Codec::MessagePack.decode(&pack(&back)).unwrap();
        assert_eq!(back, values);
        let mut large = Vec::new();
        let numbers = (i128::MIN, u128::MAX, BTreeMap::from([(1u8, 'x')]));
        ipfi::Codec::MessagePack.encode(&numbers, &mut large).unwrap();
        let of = type_of("(i128, u128, Map<u8, char>)");
        let json = decode(&of, &unpack(&large).unwrap());
        let back = encode(&of, &word(&of, &json, false).unwrap(), &mut Vec::new()).unwrap();
        assert_eq!(pack(&back), large);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(value) = unpack(&bytes) {
                for of in ["_", "i64", "Vec<u8>", "Map<u8, E { A | B(u8) }>", "Receiver<u8>"] {
                    let json = decode(&type_of(of), &value);
                    prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
                }
            }
        }
    }
}
