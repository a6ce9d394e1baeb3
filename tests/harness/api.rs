//! Calls of the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Answer, Hub, Publish, WATCHDOG};

impl Hub {
    /// A request to `path`, which starts with `/`.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url()))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        match self.try_send(request).await {
            Ok(answer) => answer,
            Err(error) => panic!("no answer: {error:?}\n{}", self.log()),
        }
    }

    /// The same, on its own feet: the hub may be restarted meanwhile.
    pub fn send_owned(
        &self,
        request: reqwest::RequestBuilder,
    ) -> impl Future<Output = Answer> + use<> {
        async move {
            let response = request.send().await.expect("an answer");
            Answer::read(response).await.expect("a whole answer")
        }
    }

    /// # Errors
    /// When no whole answer comes.
    pub async fn try_send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, reqwest::Error> {
        Answer::read(request.send().await?).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn put(&self, path: &str, document: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&document))
            .await
    }

    pub async fn post(&self, path: &str, document: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&document))
            .await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Makes a topic.
    pub async fn topic(&self, name: &str, document: Value) {
        let _ = self
            .put(&format!("/v1/topics/{name}"), document)
            .await
            .expect(201);
    }

    /// Registers a contract whose schema holds for every event; gives the version.
    pub async fn contract(&self, name: &str, schema: Value) -> u64 {
        let path = format!("/v1/contracts/{name}/versions");
        let answer = self
            .post(&path, json!({ "schema": schema }))
            .await
            .expect(201);
        answer["version"].as_u64().expect("a version is a number")
    }

    pub async fn upload(&self, name: &str, version: &str, bytes: Vec<u8>) -> Answer {
        let path = format!("/v1/plugins/{name}/versions/{version}");
        let request = self
            .request(Method::PUT, &path)
            .header("content-type", "application/wasm");
        self.send(request.body(bytes)).await
    }

    /// Uploads the guest that does what payloads say, as `mapper@1`.
    pub async fn mapper(&self) {
        let _ = self
            .upload("mapper", "1", crate::guest("guest-mapper"))
            .await
            .expect(201);
    }

    /// Makes a route.
    pub async fn route(&self, name: &str, document: Value) {
        let _ = self
            .put(&format!("/v1/routes/{name}"), document)
            .await
            .expect(201);
    }

    pub async fn publish(&self, topic: &str, publish: Publish) -> Answer {
        self.send(publish.onto(self.publication(topic))).await
    }

    /// # Errors
    /// When no whole answer comes.
    pub async fn try_publish(
        &self,
        topic: &str,
        publish: Publish,
    ) -> Result<Answer, reqwest::Error> {
        self.try_send(publish.onto(self.publication(topic))).await
    }

    fn publication(&self, topic: &str) -> reqwest::RequestBuilder {
        self.request(Method::POST, &format!("/v1/topics/{topic}/events"))
    }

    /// Publishes a batch that must be taken; gives `accepted`.
    pub async fn accepted(&self, topic: &str, events: &[Value]) -> Vec<Value> {
        let answer = self
            .publish(topic, Publish::batch(events))
            .await
            .expect(200);
        answer["accepted"]
            .as_array()
            .expect("accepted is a list")
            .clone()
    }

    /// The next offset of a partition.
    pub async fn tail(&self, topic: &str, partition: u32) -> u64 {
        let document = self.get(&format!("/v1/topics/{topic}")).await.expect(200);
        let state = &document["state"]["partitions"][partition as usize];
        state["tail"]
            .as_u64()
            .unwrap_or_else(|| panic!("a partition has a tail: {document}"))
    }

    /// The next offsets of all partitions together.
    pub async fn stored(&self, topic: &str) -> u64 {
        let document = self.get(&format!("/v1/topics/{topic}")).await.expect(200);
        let partitions = document["state"]["partitions"]
            .as_array()
            .expect("partitions")
            .clone();
        partitions
            .iter()
            .map(|one| one["tail"].as_u64().expect("a tail"))
            .sum()
    }

    /// All events of a partition that are there now.
    pub async fn read_all(&self, topic: &str, partition: u32) -> Vec<Value> {
        let tail = self.tail(topic, partition).await;
        let mut events = Vec::new();
        let mut at = "earliest".to_owned();
        loop {
            let path =
                format!("/v1/topics/{topic}/events?partition={partition}&offset={at}&limit=10000");
            let answer = self.get(&path).await;
            let page = answer.expect(200);
            events.extend(page.as_array().expect("a batch").iter().cloned());
            at = answer
                .header("sandbar-next-offset")
                .expect("the next offset")
                .to_owned();
            if at.parse::<u64>().expect("an offset") >= tail {
                return events;
            }
        }
    }

    /// Reads a partition from its start until it has so many events, waiting for them.
    pub async fn read_until(&self, topic: &str, partition: u32, count: usize) -> Vec<Value> {
        let reading = async {
            let mut events = Vec::new();
            let mut at = "earliest".to_owned();
            while events.len() < count {
                let path = format!(
                    "/v1/topics/{topic}/events?partition={partition}&offset={at}&limit=10000&wait=5"
                );
                let answer = self.get(&path).await;
                let page = answer.expect(200);
                events.extend(page.as_array().expect("a batch").iter().cloned());
                at = answer
                    .header("sandbar-next-offset")
                    .expect("the next offset")
                    .to_owned();
            }
            events
        };
        let Ok(events) = tokio::time::timeout(WATCHDOG, reading).await else {
            let routes = self.get("/v1/routes").await.text;
            panic!("{topic}/{partition} does not come to {count} events; routes: {routes}");
        };
        events
    }

    /// All dead letters, page by page.
    pub async fn dead_letters(&self, query: &str) -> Vec<Value> {
        let mut letters = Vec::new();
        let mut after = String::new();
        loop {
            let page = self
                .get(&format!("/v1/dead-letters?limit=1000&{query}{after}"))
                .await
                .expect(200);
            letters.extend(
                page["dead_letters"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .cloned(),
            );
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return letters,
            }
        }
    }

    /// Waits for dead letters, and gives them all.
    pub async fn dead_letters_until(&self, query: &str, count: usize) -> Vec<Value> {
        let waiting = async {
            loop {
                let tail = self.tail("sandbar.dead-letters", 0).await;
                let letters = self.dead_letters(query).await;
                if letters.len() >= count {
                    return letters;
                }
                self.wait_at("sandbar.dead-letters", 0, tail, 5.0).await;
            }
        };
        let Ok(letters) = tokio::time::timeout(WATCHDOG, waiting).await else {
            let routes = self.get("/v1/routes").await.text;
            panic!("there do not come to be {count} dead letters; routes: {routes}");
        };
        letters
    }

    /// Waits until there is an event at `offset`, at most so many seconds.
    pub async fn wait_at(&self, topic: &str, partition: u32, offset: u64, seconds: f64) {
        let path = format!(
            "/v1/topics/{topic}/events?partition={partition}&offset={offset}&limit=1&wait={seconds}"
        );
        let answer = self.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    /// The `status` of a route.
    pub async fn route_status(&self, route: &str) -> Value {
        self.get(&format!("/v1/routes/{route}")).await.expect(200)["status"].clone()
    }

    /// Waits until a route has read everything that is there and nothing waits; gives its status.
    pub async fn settled(&self, route: &str) -> Value {
        self.route_until(route, "is behind", |status| {
            let partitions = status["partitions"].as_array().expect("partitions");
            !partitions.is_empty()
                && partitions
                    .iter()
                    .all(|one| one["lag"] == 0 && one["waiting"] == 0)
        })
        .await
    }

    /// Waits until the status of a route is as wanted; gives it.
    pub async fn route_until(
        &self,
        route: &str,
        otherwise: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.until(
            &format!("/v1/routes/{route}"),
            "status",
            &format!("route {route} {otherwise}"),
            wanted,
        )
        .await
    }

    /// Waits until the member `member` of the document at `path` is as wanted; gives it.
    pub async fn until(
        &self,
        path: &str,
        member: &str,
        otherwise: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let begin = std::time::Instant::now();
        loop {
            let found = self.get(path).await.expect(200)[member].clone();
            if wanted(&found) {
                return found;
            }
            assert!(
                begin.elapsed() < WATCHDOG,
                "{otherwise}: {found}\n{}",
                self.log()
            );
            // Nothing tells of it; a dead letter or a moment ends the wait.
            let tail = self.tail("sandbar.dead-letters", 0).await;
            self.wait_at("sandbar.dead-letters", 0, tail, 0.05).await;
        }
    }
}
