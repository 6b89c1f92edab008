//! `#[ipfi::service]`: a trait becomes a server and a typed client. Documented there.

mod expand;
mod parse;

use proc_macro::TokenStream;

/// Turns a trait into a service: the trait itself for the server to implement, and `NameClient`
/// for callers.
///
/// * `async fn` and `fn` methods with `&self` become procedures; arguments and results are values
///   that serde knows. A first argument of type `Context` is not sent: the server gets it.
/// * `Result<T, Fault>` as a result: the caller gets `T` or the fault as an error.
/// * `#[blocking]` on an `fn`: it runs on a thread of its own.
/// * `#[ipfi::service(prefix = "clock.")]` puts that in front of all names.
/// * Documentation goes to the trait, to the client, and to whoever asks what there is.
///
/// The trait gets a method `into_interface`. The client is made with `NameClient::new(wire)`; each of
/// its methods gives an `ipfi::Call`, to be awaited, started or waited for.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let service = parse::options(arguments)
        .and_then(|options| Ok((options, syn::parse::<syn::ItemTrait>(item)?)))
        .and_then(|(options, item)| parse::Service::new(options, item));
    match service {
        Ok(service) => expand::service(&service).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
