//! What plugins log: linked to the event, limited, asked for over HTTP and on the command line.

use sandbar_tests::{Hub, assert_problem, event};
use serde_json::{Value, json};

use super::step;

async fn lines(hub: &Hub, query: &str) -> Value {
    hub.get(&format!("/v1/plugins/mapper/versions/1/logs?{query}"))
        .await
        .expect(200)
}

async fn hub() -> Hub {
    let hub = Hub::start().await;
    for topic in ["a", "b"] {
        hub.topic(topic, json!({})).await;
    }
    hub.mapper().await;
    hub
}

#[tokio::test]
async fn a_line_is_linked_to_the_very_event_also_where_a_batch_was_split() {
    let hub = hub().await;
    hub.route(
        "r",
        json!({"from": "a", "steps": [step("one"), step("two")], "to": ["b"]}),
    )
    .await;
    let mut events: Vec<Value> = (0..60)
        .map(|index| event(&format!("e{index}"), json!({"n": index})))
        .collect();
    // Three copies in the first step, and one event fewer, shift the places of what comes behind it in the second.
    events[3]["data"] = json!({"at": "one", "copies": 3});
    events[40]["data"] = json!({"at": "two", "log": "in the second step"});
    events[20]["data"] = json!({"at": "one", "do": "trap"});
    events[50]["data"] = json!({"at": "one", "log": "in the first step"});
    let accepted = hub.accepted("a", &events).await;
    hub.settled("r").await;
    let answer = lines(&hub, "").await;
    let found: Vec<(&Value, &Value, &Value, &str)> = (answer["lines"].as_array().unwrap().iter())
        .map(|line| {
            let message = line["message"].as_str().unwrap();
            (
                &line["step"],
                &line["event"]["id"],
                &line["event"]["offset"],
                message,
            )
        })
        .collect();
    for (step, index, words) in [
        (0, 20, "trapped as asked by e20"),
        (0, 50, "in the first step"),
        (1, 40, "in the second step"),
    ] {
        let expected = (
            json!(step),
            json!(format!("e{index}")),
            &accepted[index]["offset"],
        );
        let count = found
            .iter()
            .filter(|line| (line.0, line.1, line.2) == (&expected.0, &expected.1, expected.2))
            .filter(|line| line.3.contains(words))
            .count();
        assert_eq!(count, 1, "{words}: {answer:#}");
    }
    assert_eq!(found.len(), 3, "{answer:#}");
    let line = &answer["lines"][1];
    assert_eq!(
        (&line["route"], &line["level"], &line["event"]["topic"]),
        (&json!("r"), &json!("warn"), &json!("a"))
    );
    assert_eq!(line["event"]["source"], "/tests");
    assert_eq!(answer["left_out"], 0);
}

#[tokio::test]
async fn lines_are_chosen_by_level_route_and_number() {
    let hub = hub().await;
    for route in ["r", "s"] {
        hub.route(
            route,
            json!({"from": "a", "steps": [step(route)], "to": ["b"]}),
        )
        .await;
    }
    hub.accepted("a", &[event("1", json!({"log": "said", "lines": 3}))])
        .await;
    hub.accepted("a", &[event("2", json!({"at": "s", "do": "trap"}))])
        .await;
    for route in ["r", "s"] {
        hub.settled(route).await;
    }
    let count = |answer: &Value| answer["lines"].as_array().unwrap().len();
    assert_eq!(count(&lines(&hub, "").await), 7);
    assert_eq!(count(&lines(&hub, "route=r").await), 3);
    assert_eq!(count(&lines(&hub, "level=error").await), 1);
    assert_eq!(count(&lines(&hub, "level=warn&route=s&limit=2").await), 2);
    let all = lines(&hub, "").await;
    assert_eq!(
        count(&lines(&hub, &format!("after={}", all["last"])).await),
        0
    );
    assert_eq!(count(&lines(&hub, "after=5").await), 2);
    let path = "/v1/plugins/mapper/versions/1/logs";
    for bad in ["level=loud", "limit=0", "limit=1001", "lvl=warn"] {
        assert_problem(
            &hub.get(&format!("{path}?{bad}")).await,
            400,
            "malformed-request",
        );
    }
    assert_problem(
        &hub.get("/v1/plugins/mapper/versions/2/logs").await,
        404,
        "unknown-plugin",
    );
    let shown = hub.sandbar(&["logs", "mapper@1", "--level", "error"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert_eq!(shown.stdout.lines().count(), 1, "{shown:?}");
    for word in ["error", "s#0", "a/0/1 2", "trapped as asked by 2"] {
        assert!(shown.stdout.contains(word), "{word}: {shown:?}");
    }
    assert_eq!(
        hub.sandbar(&["--json", "logs", "mapper@1"]).json()["lines"]
            .as_array()
            .unwrap()
            .len(),
        7
    );
    assert!(
        hub.log().contains("said"),
        "the hub's own output has them too"
    );
    // Gone with the plugin.
    for path in ["routes/r", "routes/s", "plugins/mapper/versions/1"] {
        assert_eq!(hub.delete(&format!("/v1/{path}")).await.status, 204);
    }
    assert_problem(&hub.get(path).await, 404, "unknown-plugin");
    hub.mapper().await;
    assert_eq!(count(&lines(&hub, "").await), 0);
}

#[tokio::test]
async fn a_flood_is_cut_counted_and_told() {
    let hub = hub().await;
    hub.route("r", json!({"from": "a", "steps": [step("s")], "to": ["b"]}))
        .await;
    // A call keeps a hundred lines, so it takes several.
    let mut published = 0;
    let answer = loop {
        let event = event(
            &published.to_string(),
            json!({"log": "flood", "lines": 500}),
        );
        hub.accepted("a", &[event]).await;
        hub.settled("r").await;
        published += 1;
        let answer = lines(&hub, "limit=1000").await;
        if answer["left_out"].as_u64().unwrap() > 0 {
            break answer;
        }
        assert!(published < 200, "nothing is left out: {}", answer["last"]);
    };
    let messages: Vec<&str> = (answer["lines"].as_array().unwrap().iter())
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert!(
        answer["left_out"].as_u64().unwrap() > 0,
        "{}",
        answer["left_out"]
    );
    assert!(messages.len() < 1000, "{}", messages.len());
    assert!(
        messages.contains(&"400 more lines were left out"),
        "a call's own flood is told"
    );
    assert_eq!(hub.stored("b").await, published, "nothing else suffers");
    // With the next line that there is room for.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    hub.accepted("a", &[event("last", json!({"log": "after"}))])
        .await;
    hub.settled("r").await;
    let answer = lines(&hub, "limit=3").await;
    let told = &answer["lines"].as_array().unwrap()[1];
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .contains("lines were left out: a plugin may write"),
        "{answer:#}"
    );
}

#[tokio::test]
async fn a_trial_names_the_event_of_a_line() {
    let hub = hub().await;
    let request =
        json!({"events": [event("quiet", json!({})), event("loud", json!({"log": "x"}))]});
    let tried = hub
        .post("/v1/plugins/mapper/versions/1/try", request)
        .await
        .expect(200);
    assert_eq!(
        tried["logs"],
        json!([{"level": "warn", "message": "x", "event": "loud"}])
    );
}
