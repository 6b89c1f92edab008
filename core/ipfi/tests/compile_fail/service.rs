//! What a service cannot be.
#[ipfi::service]
trait Bad {
    const N: u8;
    async fn generic<T>(&self, value: T);
    async fn borrowed(&self, name: &str);
    async fn nobody(name: String);
    async fn body(&self) {}
    async fn pattern(&self, (a, b): (u8, u8));
    #[blocking]
    async fn blocking(&self);
}

#[ipfi::service(prefix = "x.")]
trait Generic<T> {
    fn get(&self) -> T;
}

#[ipfi::service(name = "x")]
trait Option {
    fn get(&self);
}

fn main() {}
