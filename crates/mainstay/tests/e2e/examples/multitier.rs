//! `examples/multitier`.

use super::{check, example};
use crate::tools;

#[tokio::test]
async fn its_promises_can_hold() {
    check("multitier").await;
}

#[tokio::test]
async fn what_is_written_stands_in_the_guest_book() {
    let (Some(_), Some(example)) = (tools::sdks(), example("multitier", &["guestbook-data"])) else {
        return;
    };
    let system = example.start().await;
    let page = system.ingress().await;
    assert!(page.get("/").await.text().contains("<h1>Guest book</h1>"));

    let written = page.post("/", "text=Hello+%3Cb%3Ethere%3C%2Fb%3E").await;
    assert_eq!(written.status, 200, "{}", written.text());
    let read = page.get("/").await.text();
    assert!(
        read.contains("<li>Hello &#60;b&#62;there&#60;/b&#62;</li>"),
        "{read}"
    );

    let refused = page.post("/", "text=++").await.text();
    assert!(refused.contains("1 to 200 characters"), "{refused}");
    assert_eq!(refused.matches("<li>").count(), 1, "{refused}");
}
