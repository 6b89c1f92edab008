//! A service, a server and a client, in five minutes.
//!
//! A *service* is a trait. The attribute makes a server of whatever implements it, and a client
//! with the same methods:
//!
//! ```
//! use ipfi::{Interface, Wire};
//!
//! #[ipfi::service]
//! trait Greeter {
//!     /// Says hello.
//!     async fn greet(&self, name: String) -> String;
//! }
//!
//! struct Polite;
//!
//! impl Greeter for Polite {
//!     async fn greet(&self, name: String) -> String {
//!         format!("Hello, {name}!")
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(async move {
//!     let (stream, _) = listener.accept().await.unwrap();
//!     stream.set_nodelay(true).unwrap();
//!     Wire::spawn(stream, Polite.into_interface()).detach();
//! });
//!
//! let stream = tokio::net::TcpStream::connect(address).await?;
//! stream.set_nodelay(true)?;
//! let greeter = GreeterClient::new(Wire::spawn(stream, Interface::new()));
//! assert_eq!(greeter.greet("Ada".into()).await?, "Hello, Ada!");
//! # Ok(()) }
//! ```
//!
//! Nothing here is about TCP: [`Wire::spawn`](crate::Wire::spawn) takes anything that reads and
//! writes, and both ends are alike, so the server may call the client by the same wire. A
//! [`Server`](crate::Server) accepts many peers and stops in peace.
//!
//! Without a trait, procedures are added one by one and called by name. The types are compared
//! with the peer's before the first call:
//!
//! ```
//! # use ipfi::{Code, Interface, Wire};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ipfi::CallError> {
//! let server = Interface::new().procedure("add", |a: i64, b: i64| a + b);
//! let (wire, _other) = Wire::pair(Interface::new(), server);
//! assert_eq!(wire.call::<i64>("add", (2, 3)).await?, 5);
//! let wrong = wire.call::<i64>("add", (2u64, 3u64)).await.unwrap_err();
//! assert_eq!(wrong.code(), Code::SIGNATURE_MISMATCH);
//! # Ok(()) }
//! ```
