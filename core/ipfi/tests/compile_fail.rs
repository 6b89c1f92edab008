//! What the compiler says to those who err. The texts are of one toolchain: `TRYBUILD=overwrite`
//! writes them anew.
#![cfg(all(feature = "tokio", feature = "bincode", feature = "macros"))]

#[test]
fn errors_name_the_way_out() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/service.rs");
}
