//! Whatever two applications do to each other: the model test of the engine, with its choices made by
//! the fuzzer. Whoever uses this module has `common` and `side` of it at the root of the crate.

#[path = "../../../core/proto/tests/model/side.rs"]
pub(crate) mod side;
#[path = "../../../core/proto/tests/model/world.rs"]
mod world;

pub fn run(bytes: &[u8]) {
    let mut model = world::Model::new(common::random::Random::of(bytes.to_vec()));
    while model.random.left() > 0 {
        model.run(10);
    }
    model.quiesce();
    model.end();
}

pub(crate) mod common {
    pub(crate) mod random {
        /// Choices taken from the input, and zeros after its end.
        #[derive(Clone, Debug)]
        pub(crate) struct Random(std::vec::IntoIter<u8>);

        impl Random {
            pub(crate) fn of(bytes: Vec<u8>) -> Self {
                Self(bytes.into_iter())
            }

            pub(crate) fn left(&self) -> usize {
                self.0.len()
            }

            pub(crate) fn next(&mut self) -> u64 {
                let mut byte = || u64::from(self.0.next().unwrap_or(0));
                byte() << 8 | byte()
            }

            pub(crate) fn below(&mut self, n: usize) -> usize {
                let wide = n > 256;
                let byte = usize::from(self.0.next().unwrap_or(0));
                let low = if wide { usize::from(self.0.next().unwrap_or(0)) } else { 0 };
                (byte + (low << 8)) % n.max(1)
            }

            pub(crate) fn one_in(&mut self, n: usize) -> bool {
                // Zeros, of which there is no end, must not mean yes.
                self.below(n) == n - 1
            }

            pub(crate) fn size(&mut self, max: usize) -> usize {
                let top = [4, 30, 300, max][self.below(4)];
                self.below(top.min(max) + 1)
            }

            pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
                of.get(self.below(of.len())).copied()
            }
        }
    }
}
