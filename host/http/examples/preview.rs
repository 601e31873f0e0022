//! temp
#[path = "../tests/fixture/mod.rs"]
mod fixture;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let l = tokio::net::TcpListener::bind("127.0.0.1:38117")
        .await
        .unwrap();
    let r = fixture::routes(&fixture::Fixture::usual(), Default::default());
    baton_http::serve(l, r, std::future::pending())
        .await
        .unwrap();
}
