//! Capabilities that reach out of the sandbox, through the real hub: lookups and HTTP.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sandbar_tests::{Hub, Options, assert_problem, event, guest, json_event};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::data;

async fn hub_with(options: Options, topics: &[&str]) -> Hub {
    let hub = Hub::start_with(options).await;
    for topic in topics {
        hub.topic(topic, json!({})).await;
    }
    let _ = hub
        .upload("reaching", "1", guest("guest-reaching"))
        .await
        .expect(201);
    hub
}

async fn hub(topics: &[&str]) -> Hub {
    hub_with(Options::default(), topics).await
}

fn lookup(topics: &[&str]) -> Value {
    json!({"lookup": {"topics": topics}})
}

fn nobody() -> Value {
    json!({"http": {"hosts": ["api.example.com"]}})
}

fn step(grants: &[Value]) -> Value {
    json!({"plugin": "reaching@1", "grants": grants})
}

/// What the plugin makes of a wish.
async fn fulfilled(hub: &Hub, grants: &[Value], wish: Value) -> Value {
    let request = json!({"events": [event("wish", wish)], "grants": grants});
    let tried = hub
        .post("/v1/plugins/reaching/versions/1/try", request)
        .await
        .expect(200);
    let output = &tried["results"][0]["outputs"][0]["event"]["data"];
    assert!(output.is_object(), "{tried:#}");
    output.clone()
}

#[tokio::test]
async fn an_order_is_joined_with_its_customer() {
    let mut hub = hub(&["orders", "joined"]).await;
    hub.topic("customers", json!({"partitions": 3})).await;
    hub.route(
        "join",
        json!({"from": "orders", "steps": [step(&[lookup(&["customers"]), nobody()])], "to": ["joined"]}),
    )
    .await;
    let order = |id: &str, key: &str| event(id, json!({"topic": "customers", "key": key}));
    let customer = |id: &str, key: &str, name: &str| json_event(id, key, json!({"name": name}));
    hub.accepted(
        "customers",
        &[customer("c1", "7", "Ada"), customer("c2", "8", "Grace")],
    )
    .await;
    hub.accepted(
        "orders",
        &[order("o1", "7"), order("o2", "8"), order("o3", "9")],
    )
    .await;
    let joined = data(&hub.read_until("joined", 0, 3).await);
    assert_eq!(
        (&joined[0]["found"], &joined[0]["id"]),
        (&json!({"name": "Ada"}), &json!("c1"))
    );
    assert_eq!(joined[0]["extensions"], json!([["partitionkey", "7"]]));
    assert_eq!(joined[1]["found"], json!({"name": "Grace"}));
    assert_eq!(joined[2], json!({"found": null}));
    // What is acknowledged before the order is seen by the order, each time.
    for round in 0..20 {
        let name = format!("Ada {round}");
        hub.accepted("customers", &[customer(&format!("u{round}"), "7", &name)])
            .await;
        hub.accepted("orders", &[order(&format!("r{round}"), "7")])
            .await;
        let joined = hub.read_until("joined", 0, 4 + round).await;
        assert_eq!(joined[3 + round]["data"]["found"]["name"], json!(name));
    }
    // The index is made anew after a restart.
    hub.stop();
    hub.restart().await;
    hub.accepted("orders", &[order("after", "8"), order("again", "7")])
        .await;
    let joined = data(&hub.read_until("joined", 0, 25).await);
    assert_eq!(joined[23]["found"], json!({"name": "Grace"}));
    assert_eq!(joined[24]["found"], json!({"name": "Ada 19"}));
    let problem = assert_problem(
        &hub.delete("/v1/topics/customers").await,
        409,
        "topic-in-use",
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("join"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_topic_is_read_before_the_first_lookup_and_may_be_the_target() {
    let hub = hub(&["in", "out"]).await;
    let many: Vec<Value> = (0..3000)
        .map(|index| {
            json_event(
                &format!("e{index}"),
                &index.to_string(),
                json!({"n": index}),
            )
        })
        .collect();
    for events in many.chunks(1000) {
        hub.accepted("out", events).await;
    }
    let wishes: Vec<Value> = (0..100)
        .map(|index| {
            event(
                &format!("w{index}"),
                json!({"topic": "out", "key": (index * 29).to_string()}),
            )
        })
        .collect();
    hub.accepted("in", &wishes).await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [step(&[lookup(&["out"]), nobody()])], "to": ["out"]}),
    )
    .await;
    let found = data(&hub.read_until("out", 0, 3100).await);
    for (index, found) in found[3000..].iter().enumerate() {
        assert_eq!(found["found"], json!({"n": index * 29}), "{found}");
    }
}

#[tokio::test]
async fn what_a_grant_does_not_name_cannot_be_looked_up() {
    let hub = hub(&["a", "b", "secret"]).await;
    hub.accepted("secret", &[json_event("1", "k", json!("hidden"))])
        .await;
    let grants = [lookup(&["a"]), nobody()];
    for topic in ["secret", "nowhere", "A", ""] {
        assert_eq!(
            fulfilled(&hub, &grants, json!({"topic": topic, "key": "k"})).await,
            json!({"error": "not-granted"}),
            "{topic}"
        );
    }
    assert_eq!(
        fulfilled(
            &hub,
            &[lookup(&["a", "secret"]), nobody()],
            json!({"topic": "secret", "key": "k"})
        )
        .await["found"],
        "hidden"
    );
}

#[tokio::test]
async fn grants_are_checked_with_their_places() {
    let hub = hub(&["a", "b"]).await;
    let http = |field: &str, value: Value| {
        let mut grant = json!({"http": {"hosts": ["a.test"]}});
        grant["http"][field] = value;
        grant
    };
    for (grants, code, words) in [
        (
            json!([]),
            "grant-missing",
            &["lookup", "http", "/steps/0"][..],
        ),
        (json!([lookup(&["b"])]), "grant-missing", &["http", "hosts"]),
        (
            json!(["lookup"]),
            "invalid-document",
            &["/steps/0/grants/0", "topics"],
        ),
        (
            json!(["clock", "http"]),
            "invalid-document",
            &["/steps/0/grants/1", "hosts"],
        ),
        (
            json!([lookup(&["b", "gone"])]),
            "invalid-document",
            &["/steps/0/grants/0/lookup/topics/1", "gone"],
        ),
        (
            json!([lookup(&[])]),
            "invalid-document",
            &["/lookup/topics"],
        ),
        (
            json!([lookup(&["b"]), lookup(&["a"])]),
            "invalid-document",
            &["/steps/0/grants/1", "twice"],
        ),
        (
            json!([{"lookup": {"topics": ["b"], "keys": 1}}]),
            "invalid-document",
            &["/steps/0/grants/0/lookup", "keys"],
        ),
        (
            json!([{"look": {}}]),
            "invalid-document",
            &["/steps/0/grants/0", "look"],
        ),
        (
            json!([http("redirects", json!(true))]),
            "invalid-document",
            &["/steps/0/grants/0/http", "redirects"],
        ),
        (
            json!([http("hosts", json!(["*"]))]),
            "invalid-document",
            &["/steps/0/grants/0/http/hosts/0"],
        ),
        (
            json!([http("hosts", json!(["[::1]:8080"]))]),
            "invalid-document",
            &["/http/hosts/0", "is not a public address", "private"],
        ),
        (
            json!([http("hosts", json!([]))]),
            "invalid-document",
            &["/http/hosts"],
        ),
        (
            json!([http("methods", json!(["get"]))]),
            "invalid-document",
            &["/http/methods/0"],
        ),
        (
            json!([http("timeout_ms", json!(0))]),
            "invalid-document",
            &["/http/timeout_ms"],
        ),
        (
            json!([http("max_response_bytes", json!(1_u64 << 40))]),
            "invalid-document",
            &["/http/max_response_bytes"],
        ),
    ] {
        let document = json!({"from": "a", "steps": [{"plugin": "reaching@1", "grants": grants}], "to": ["b"]});
        let problem = assert_problem(&hub.put("/v1/routes/r", document).await, 422, code);
        for word in words {
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(word), "{word}: {problem}");
        }
    }
    let document = json!({"from": "a", "steps": [step(&[lookup(&["b"]), nobody()])], "to": ["b"]});
    hub.route("r", document.clone()).await;
    let kept = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(kept["steps"][0]["grants"][0], lookup(&["b"]));
    assert_eq!(
        kept["steps"][0]["grants"][1]["http"],
        json!({"hosts": ["api.example.com"], "methods": ["GET"], "timeout_ms": 1000, "max_response_bytes": 1_048_576, "private": false})
    );
    let many = vec![event("1", json!({})); 17];
    let request = json!({"events": many, "grants": [lookup(&["b"]), nobody()]});
    let problem = assert_problem(
        &hub.post("/v1/plugins/reaching/versions/1/try", request)
            .await,
        422,
        "invalid-document",
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("at most 16"),
        "{problem}"
    );
    let request = json!({"events": [], "grants": ["lookup"]});
    let problem = assert_problem(
        &hub.post("/v1/plugins/reaching/versions/1/try", request)
            .await,
        422,
        "invalid-document",
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("/grants/0"),
        "{problem}"
    );
}

#[tokio::test]
async fn too_many_keys_stall_the_route_and_say_so() {
    let arguments = ["--lookup-keys", "3"].map(str::to_owned).to_vec();
    let hub = hub_with(Options { arguments }, &["in", "table", "out"]).await;
    let put = |key: &str| json_event(&format!("e{key}"), key, json!(key));
    hub.accepted("table", &[put("1"), put("2"), put("3")]).await;
    let grants = [lookup(&["table"]), nobody()];
    hub.route(
        "r",
        json!({"from": "in", "steps": [step(&grants)], "to": ["out"]}),
    )
    .await;
    hub.accepted("in", &[event("1", json!({"topic": "table", "key": "3"}))])
        .await;
    assert_eq!(hub.read_until("out", 0, 1).await[0]["data"]["found"], "3");
    hub.accepted("table", &[put("4")]).await;
    hub.accepted("in", &[event("2", json!({"topic": "table", "key": "4"}))])
        .await;
    let status = hub
        .route_until("r", "is not stalled", |status| status["state"] == "stalled")
        .await;
    assert!(status.to_string().contains("--lookup-keys"), "{status}");
    assert_eq!(
        hub.stored("sandbar.dead-letters").await,
        0,
        "nothing is lost"
    );
}

/// An HTTP server that answers as the path says, and counts what it is asked.
struct Receiver {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let count = count.clone();
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        let mut buffer = [0; 1024];
                        match stream.read(&mut buffer).await {
                            Ok(length @ 1..) => head.extend_from_slice(&buffer[..length]),
                            _ => return,
                        }
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    let head = String::from_utf8_lossy(&head).into_owned();
                    answer(&mut stream, &head).await;
                });
            }
        });
        Self { port, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A grant for this receiver with more of its fields.
    fn grant(&self, more: Value) -> Value {
        let mut grant = json!({
            "hosts": [format!("127.0.0.1:{}", self.port), format!("localhost:{}", self.port)],
            "private": true,
        });
        for (name, value) in more.as_object().unwrap() {
            grant[name] = value.clone();
        }
        json!({"http": grant})
    }
}

async fn answer(stream: &mut tokio::net::TcpStream, head: &str) {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let whole = |status: &str, more: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n{body}"
        )
    };
    let open = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let text = match path {
        "/redirect" => whole("302 Found", "location: /hello\r\n", ""),
        "/head" => whole("200 OK", "x-seen: yes\r\n", head),
        "/large" => whole("200 OK", "", &"x".repeat(5000)),
        "/slow" => {
            tokio::time::sleep(std::time::Duration::from_secs(20)).await;
            whole("200 OK", "", "late")
        }
        "/drip" | "/endless" => {
            let pause = if path == "/drip" { 50 } else { 0 };
            let mut text = open.to_owned();
            while stream.write_all(text.as_bytes()).await.is_ok() {
                text = if pause > 0 {
                    "x".to_owned()
                } else {
                    "x".repeat(1000)
                };
                tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            }
            return;
        }
        _ => whole("200 OK", "", "hello"),
    };
    // A client that has seen enough hangs up.
    let _ = stream.write_all(text.as_bytes()).await;
}

#[tokio::test]
async fn another_service_is_asked_within_the_grant() {
    let hub = hub(&["a"]).await;
    let receiver = Receiver::start().await;
    let table = lookup(&["a"]);
    let ask =
        async |grant: Value, wish: Value| fulfilled(&hub, &[table.clone(), grant], wish).await;
    let url = |path: &str| json!({"url": receiver.url(path)});

    let answer = ask(receiver.grant(json!({})), url("/hello")).await;
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&json!(200), &json!("hello"))
    );
    let wish =
        json!({"url": receiver.url("/head?q=1#x"), "method": "POST", "headers": {"X-Mine": "1"}});
    let answer = ask(receiver.grant(json!({"methods": ["POST"]})), wish).await;
    let head = answer["body"].as_str().unwrap_or_default().to_lowercase();
    assert!(head.starts_with("post /head?q=1 http/1.1"), "{answer}");
    let host = format!("host: 127.0.0.1:{}", receiver.port);
    for line in ["x-mine: 1", "user-agent: sandbar/", &host] {
        assert!(head.contains(line), "{line}: {head}");
    }
    let answer = ask(
        receiver.grant(json!({})),
        json!({"url": format!("http://localhost:{}/hello", receiver.port)}),
    )
    .await;
    assert_eq!(answer["status"], 200, "{answer}");

    // A redirect is an answer.
    let asked = receiver.asked();
    let answer = ask(receiver.grant(json!({})), url("/redirect")).await;
    assert_eq!(
        (&answer["status"], &answer["headers"]["location"]),
        (&json!(302), &json!("/hello"))
    );
    assert_eq!(receiver.asked(), asked + 1, "nobody follows it");

    // Too large, with a length and without.
    for path in ["/large", "/endless"] {
        let grant = receiver.grant(json!({"max_response_bytes": 4999}));
        assert_eq!(
            ask(grant, url(path)).await,
            json!({"error": "too-large", "reason": "4999"}),
            "{path}"
        );
    }
    let grant = receiver.grant(json!({"max_response_bytes": 5000}));
    assert_eq!(ask(grant, url("/large")).await["status"], 200);

    // What the grant does not cover is not sent.
    let asked = receiver.asked();
    let refusals = [
        // Of an address it is known before: the grant is refused.
        (
            receiver.grant(
                json!({"private": false, "hosts": [format!("localhost:{}", receiver.port)]}),
            ),
            json!({"url": format!("http://localhost:{}/", receiver.port)}),
            "not-granted",
            "private",
        ),
        (
            receiver.grant(json!({"hosts": ["api.example.com"]})),
            url("/hello"),
            "not-granted",
            "127.0.0.1",
        ),
        (
            receiver.grant(json!({"hosts": ["127.0.0.1"]})),
            url("/hello"),
            "not-granted",
            "not among",
        ),
        (
            receiver.grant(json!({})),
            json!({"url": receiver.url("/"), "method": "DELETE"}),
            "not-granted",
            "DELETE",
        ),
        (
            receiver.grant(json!({})),
            json!({"url": "ftp://localhost/"}),
            "invalid-request",
            "ftp",
        ),
        (
            receiver.grant(json!({})),
            json!({"url": "/hello"}),
            "invalid-request",
            "/hello",
        ),
        (
            receiver.grant(json!({})),
            json!({"url": format!("http://u:p@127.0.0.1:{}/", receiver.port)}),
            "invalid-request",
            "authorization",
        ),
        (
            receiver.grant(json!({})),
            json!({"url": receiver.url("/"), "headers": {"Host": "other"}}),
            "invalid-request",
            "Host",
        ),
    ];
    for (grant, wish, error, word) in refusals {
        let answer = ask(grant, wish.clone()).await;
        assert_eq!(answer["error"], error, "{wish}: {answer}");
        assert!(
            answer["reason"].as_str().unwrap().contains(word),
            "{wish}: {answer}"
        );
    }
    assert_eq!(receiver.asked(), asked, "nothing of it was sent");

    // Nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let grant = receiver.grant(json!({"hosts": [format!("127.0.0.1:{free}")]}));
    let answer = ask(grant, json!({"url": format!("http://127.0.0.1:{free}/")})).await;
    assert_eq!(answer["error"], "unreachable", "{answer}");
}

#[tokio::test]
async fn a_slow_service_is_a_timeout_inside_the_deadline_and_holds_up_nobody_else() {
    let hub = hub(&["in", "out", "fast", "done", "other"]).await;
    hub.mapper().await;
    let receiver = Receiver::start().await;
    let grants = |grant: Value| [lookup(&["other"]), grant];
    let began = std::time::Instant::now();
    for path in ["/slow", "/drip"] {
        let wish = json!({"url": receiver.url(path)});
        let grant = receiver.grant(json!({"timeout_ms": 200}));
        let answer = fulfilled(&hub, &grants(grant), wish.clone()).await;
        assert_eq!(
            answer,
            json!({"error": "timeout", "reason": ""}),
            "the grant's own time"
        );
        let grant = receiver.grant(json!({"timeout_ms": 60_000}));
        let answer = fulfilled(&hub, &grants(grant), wish).await;
        assert_eq!(
            answer,
            json!({"error": "timeout", "reason": ""}),
            "the plugin's deadline"
        );
    }
    assert!(
        began.elapsed() < std::time::Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    // On routes: more waiting lanes than there are plugin threads.
    hub.topic("many", json!({"partitions": 6})).await;
    let grant = receiver.grant(json!({"timeout_ms": 60_000}));
    let mut waiting = step(&grants(grant));
    waiting["limits"] = json!({"deadline_ms": 3000});
    hub.route(
        "slow",
        json!({"from": "many", "steps": [waiting], "to": ["out"]}),
    )
    .await;
    hub.route(
        "fast",
        json!({"from": "fast", "steps": [super::step("s")], "to": ["done"]}),
    )
    .await;
    let wishes: Vec<Value> = (0..30)
        .map(|index| {
            json_event(
                &index.to_string(),
                &index.to_string(),
                json!({"url": receiver.url("/slow")}),
            )
        })
        .collect();
    let asked = receiver.asked();
    hub.accepted("many", &wishes).await;
    while receiver.asked() < asked + 4 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    hub.accepted("fast", &[event("1", json!({}))]).await;
    assert_eq!(hub.read_until("done", 0, 1).await.len(), 1);
    assert_eq!(hub.stored("out").await, 0, "the others still wait");
    let answers = data(&hub.read_until("out", 0, 30).await);
    assert!(
        answers.iter().all(|answer| answer["error"] == "timeout"),
        "{answers:?}"
    );
    assert_eq!(receiver.asked(), asked + 30, "each is asked once");
    assert_eq!(hub.stored("sandbar.dead-letters").await, 0);
}

#[tokio::test]
async fn a_plugin_may_reach_out_while_it_starts() {
    let hub = hub(&["a", "b"]).await;
    hub.accepted("a", &[json_event("1", "k", json!("there"))])
        .await;
    let mut step = step(&[lookup(&["a"]), nobody()]);
    step["config"] = json!({"start": {"topic": "a", "key": "k"}});
    hub.route("r", json!({"from": "a", "steps": [step], "to": ["b"]}))
        .await;
    hub.settled("r").await;
    let logs = hub
        .get("/v1/plugins/reaching/versions/1/logs")
        .await
        .expect(200);
    let line = &logs["lines"][0];
    assert!(
        line["message"].as_str().unwrap().contains("there"),
        "{logs:#}"
    );
    assert_eq!(
        (&line["event"], &line["events"]),
        (&Value::Null, &Value::Null)
    );
}
