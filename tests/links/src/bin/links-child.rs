//! Serves over standard input and output.

use ipfi::Wire;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let stream = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
    Wire::spawn(stream, links_test::interface()).closed().await;
}
