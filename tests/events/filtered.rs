//! Reading only what a filter takes: the hub evaluates it, so that nothing else is sent.

use sandbar_tests::{Answer, Hub, WATCHDOG, assert_problem, json_event};
use serde_json::{Value, json};

/// Events `0` to `count - 1` of the types `even` and `odd`, in one partition.
async fn with_numbers(count: u64) -> Hub {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    publish(&hub, 0, count).await;
    hub
}

async fn publish(hub: &Hub, from: u64, count: u64) {
    let numbers = from..from + count;
    let events: Vec<Value> = numbers
        .map(|n| {
            let mut event = json_event(&n.to_string(), &format!("k{}", n % 3), json!(n));
            event["type"] = json!(if n % 2 == 0 { "even" } else { "odd" });
            event["amount"] = json!(n);
            event
        })
        .collect();
    hub.accepted("t", &events).await;
}

async fn read(hub: &Hub, filter: &str, more: &str) -> Answer {
    let path = format!("/v1/topics/t/events?{more}");
    let request = hub.request(reqwest::Method::GET, &path);
    hub.send(request.query(&[("filter", filter)])).await
}

fn ids(batch: &Value) -> Vec<&str> {
    let events = batch.as_array().unwrap().iter();
    events.map(|event| event["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_page_has_what_the_filter_takes_and_says_where_to_go_on() {
    let hub = with_numbers(20).await;
    let sql = "type = 'odd' AND amount > 4";
    let page = read(&hub, sql, "limit=3").await;
    assert_eq!(ids(&page.expect(200)), ["5", "7", "9"]);
    assert_eq!(page.header("sandbar-next-offset"), Some("10"));
    let rest = read(&hub, sql, "offset=10").await;
    assert_eq!(ids(&rest.expect(200)), ["11", "13", "15", "17", "19"]);
    assert_eq!(rest.header("sandbar-next-offset"), Some("20"));
    let filters = r#"[{"exact": {"type": "even"}}, {"exact": {"partitionkey": "k1"}}]"#;
    let chosen = read(&hub, filters, "").await;
    assert_eq!(ids(&chosen.expect(200)), ["4", "10", "16"]);
    let none = read(&hub, "type = 'none'", "").await;
    assert_eq!(none.expect(200), json!([]));
    assert_eq!(none.header("sandbar-next-offset"), Some("20"));
}

#[tokio::test]
async fn a_read_waits_for_one_that_the_filter_takes() {
    let hub = with_numbers(4).await;
    let sql = "type = 'odd' AND amount > 3";
    let waiting = async {
        let page = read(&hub, sql, "wait=60").await;
        assert_eq!(ids(&page.expect(200)), ["5"]);
        assert_eq!(page.header("sandbar-next-offset"), Some("6"));
    };
    let publishing = async {
        publish(&hub, 4, 1).await;
        publish(&hub, 5, 1).await;
    };
    tokio::join!(waiting, publishing);
}

#[tokio::test]
async fn a_filter_that_cannot_be_right_is_refused_with_its_place() {
    let hub = with_numbers(1).await;
    for (filter, told) in [
        ("type = ", "column"),
        ("LOWR(type) = 'x'", "did you mean LOWER?"),
        (r#"{"exakt": {"id": "1"}}"#, "exakt"),
        (r#"[{"sql": "type ="}]"#, "/0/sql"),
    ] {
        let problem = assert_problem(&read(&hub, filter, "").await, 400, "malformed-request");
        assert!(
            problem["detail"].as_str().unwrap().contains(told),
            "{problem}"
        );
        let request = hub.request(reqwest::Method::GET, "/v1/topics/t/events");
        let request = request.header("accept", "text/event-stream");
        let refused = hub.send(request.query(&[("filter", filter)])).await;
        assert_problem(&refused, 400, "malformed-request");
    }
}

/// The blocks of a stream of server-sent events, until one has this text in it.
async fn blocks_until(hub: &Hub, filter: &str, last: Option<&str>, wanted: &str) -> Vec<String> {
    let mut request = hub
        .request(reqwest::Method::GET, "/v1/topics/t/events?offset=earliest")
        .query(&[("filter", filter)])
        .header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let following = async {
        let mut response = request.send().await.unwrap();
        let (mut text, mut blocks) = (String::new(), Vec::new());
        loop {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some(end) = text.find("\n\n") {
                let block: String = text.drain(..end + 2).collect();
                let found = block.contains(wanted);
                blocks.push(block);
                if found {
                    return blocks;
                }
            }
        }
    };
    tokio::time::timeout(WATCHDOG, following)
        .await
        .expect("the stream comes to it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_what_the_filter_takes_and_moves_on_over_the_rest() {
    let hub = with_numbers(10).await;
    // Nothing of it is wanted: only the place to go on from comes.
    let blocks = blocks_until(&hub, "type = 'none'", None, "id: 0:10").await;
    assert!(
        blocks.iter().all(|block| !block.contains("data:")),
        "{blocks:?}"
    );
    let sql = "amount IN (3, 12)";
    let following = blocks_until(&hub, sql, None, "\"id\":\"12\"");
    let (blocks, ()) = tokio::join!(following, publish(&hub, 10, 5));
    let data = blocks.iter().filter(|block| block.contains("data:"));
    assert_eq!(data.count(), 2, "{blocks:?}");
    let resumed = blocks_until(&hub, sql, Some("0:4"), "\"id\":\"12\"").await;
    assert!(
        resumed.iter().all(|block| !block.contains("\"id\":\"3\"")),
        "{resumed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_takes_filters_as_options() {
    let hub = with_numbers(12).await;
    let tail = |more: &[&str]| {
        let arguments = [&["tail", "t", "--from", "earliest", "--json"], more].concat();
        let ran = hub.sandbar(&arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        let lines = ran.stdout.lines();
        lines
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
            .collect::<Vec<_>>()
    };
    let once = ["--no-follow", "--type", "odd"];
    assert_eq!(tail(&once), ["1", "3", "5", "7", "9", "11"]);
    let both = [&once[..], &["--key", "k1", "--filter", "amount > 1"]].concat();
    assert_eq!(tail(&both), ["7"]);
    assert_eq!(
        tail(&["--no-follow", "--key", "k1", "--key", "k2", "-n", "3"]),
        ["1", "2", "4"]
    );
    assert_eq!(
        tail(&["--type", "even", "--source", "/tests", "-n", "2"]),
        ["0", "2"]
    );
    assert!(tail(&["--no-follow", "--subject", "nobody"]).is_empty());
    let refused = hub.sandbar(&["tail", "t", "--filter", "LOWR(type) = 'x'"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("did you mean LOWER?"),
        "{refused:?}"
    );

    // A live one comes to what is published later.
    let mut child = std::process::Command::new(sandbar_tests::binary())
        .args(["tail", "t", "--json", "-n", "1", "--filter", "amount = 99"])
        .args(["--from", "earliest", "--url", hub.url()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    publish(&hub, 98, 3).await;
    let ended = tokio::task::spawn_blocking(move || {
        let mut out = String::new();
        let mut stdout = child.stdout.take().unwrap();
        std::io::Read::read_to_string(&mut stdout, &mut out).unwrap();
        (child.wait().unwrap().code(), out)
    });
    let ended = tokio::time::timeout(WATCHDOG, ended).await;
    let (code, out) = ended.expect("it ends by itself").unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["id"], "99");
}
