//! Connections are used again, endpoints close them when they like, and some speak HTTP/2.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{body::Body, http::Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::*;

/// The ids of the events that came, each with the number of its connection and of the request on it.
type Came = Arc<Mutex<Vec<(String, usize, usize)>>>;

/// What an endpoint does with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Answer,
    /// Answers, and says that it closes the connection.
    AnswerAndClose,
    /// Answers, and closes the connection without a word.
    AnswerAndHangUp,
    /// Reads the request and closes the connection.
    HangUp,
}

/// An endpoint that does to a request what `does` says of the numbers of its connection and of the
/// request on it, both from 0.
async fn endpoint(does: fn(usize, usize) -> Does) -> (SocketAddr, Came) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let came = Came::default();
    let all = came.clone();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, number, does, all.clone()));
            number += 1;
        }
    });
    (address, came)
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    does: fn(usize, usize) -> Does,
    came: Came,
) {
    let mut request = 0;
    while let Some(id) = read(&mut stream).await {
        came.lock().unwrap().push((id, connection, request));
        let does = does(connection, request);
        if does == Does::HangUp {
            return;
        }
        let close = match does {
            Does::AnswerAndClose => "connection: close\r\n",
            _ => "",
        };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{close}\r\nok");
        let written = stream.write_all(answer.as_bytes()).await;
        if written.is_err() || does != Does::Answer {
            return;
        }
        request += 1;
    }
}

/// Reads a request; gives the id of its event. `None` at the end of the connection.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let header = |name: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .to_owned()
    };
    let length: usize = header("content-length").parse().unwrap();
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    assert!(!header("host").is_empty());
    assert!(text.starts_with("POST /hook?a=b HTTP/1.1"), "{text}");
    Some(header("ce-id"))
}

/// Publishes five events, each when the one before is settled; gives what came and the webhook.
async fn one_by_one(does: fn(usize, usize) -> Does) -> (Vec<(String, usize, usize)>, Value) {
    let hub = hub().await;
    let (address, came) = endpoint(does).await;
    hub.topic("t", json!({})).await;
    let push = json!({"url": format!("http://{address}/hook?a=b")});
    subscribe(&hub, document(push)).await;
    for id in ["0", "1", "2", "3", "4"] {
        hub.accepted("t", &[event(id, json!(1))]).await;
        let status = settled(&hub).await;
        assert_eq!(status["counts"]["dead"], 0, "{status}");
    }
    let webhook = webhook_until(&hub, "nothing is under way", |webhook| {
        webhook["in_flight"] == 0
    });
    let webhook = webhook.await;
    let came = came.lock().unwrap().clone();
    (came, webhook)
}

fn assert_all_delivered_at_first(webhook: &Value) {
    let attempts = webhook["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 5, "{webhook}");
    for attempt in attempts {
        assert_eq!(attempt["outcome"], "delivered", "{webhook}");
        assert_eq!(attempt["delivery"], 1, "{webhook}");
        assert_eq!(attempt["body"], "ok", "{webhook}");
    }
    assert!(webhook["last_failure"].is_null(), "{webhook}");
}

fn ids(came: &[(String, usize, usize)]) -> Vec<&str> {
    came.iter().map(|(id, ..)| id.as_str()).collect()
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let (came, webhook) = one_by_one(|_, _| Does::Answer).await;
    assert_all_delivered_at_first(&webhook);
    assert_eq!(ids(&came), ["0", "1", "2", "3", "4"]);
    // Unless the machine was so slow that it was closed in between.
    assert!(came.iter().any(|(.., request)| *request > 0), "{came:?}");
}

#[tokio::test]
async fn an_endpoint_closes_connections_when_it_likes() {
    for does in [
        (|_, _| Does::AnswerAndClose) as fn(usize, usize) -> Does,
        |_, _| Does::AnswerAndHangUp,
        |_, request| match request {
            0 => Does::Answer,
            _ => Does::AnswerAndHangUp,
        },
    ] {
        let (came, webhook) = one_by_one(does).await;
        assert_all_delivered_at_first(&webhook);
        assert_eq!(ids(&came), ["0", "1", "2", "3", "4"]);
    }
}

#[tokio::test]
async fn a_request_that_runs_into_the_closing_is_sent_again_at_once() {
    // Every second request of a connection finds it closed.
    let (came, webhook) = one_by_one(|_, request| match request {
        0 => Does::Answer,
        _ => Does::HangUp,
    })
    .await;
    assert_all_delivered_at_first(&webhook);
    let again = came.iter().filter(|(.., request)| *request > 0);
    for (id, connection, _) in again {
        let later = came.iter().find(|(of, on, _)| of == id && on > connection);
        assert!(later.is_some(), "{id} in {came:?}");
    }
}

#[tokio::test]
async fn a_new_connection_that_is_closed_is_a_failure() {
    let (_, webhook) = one_by_one(|connection, _| match connection {
        0 => Does::HangUp,
        _ => Does::Answer,
    })
    .await;
    assert_eq!(webhook["last_failure"]["outcome"], "closed", "{webhook}");
    assert_eq!(webhook["last_failure"]["delivery"], 1, "{webhook}");
    let attempts = webhook["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 6, "{webhook}");
    assert_eq!(attempts[4]["delivery"], 2, "{webhook}");
}

#[tokio::test]
async fn as_many_requests_are_under_way_as_the_document_allows() {
    let hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::Hold { status: 200 }).await;
    pushed(&hub, &receiver, json!({"concurrency": 3})).await;
    let events: Vec<_> = (0..20).map(|id| event(&id.to_string(), json!(1))).collect();
    hub.accepted("t", &events).await;
    receiver.requests(3).await;
    // What the hub says now holds until the receiver answers.
    let webhook = webhook_until(&hub, "three are under way", |webhook| {
        webhook["in_flight"] == 3
    });
    webhook.await;
    assert_eq!(receiver.received().len(), 3);
    receiver.release();
    let status = settled(&hub).await;
    assert_eq!(status["counts"]["acknowledged"], 20, "{status}");
    assert_eq!(receiver.received().len(), 20);
}

/// An endpoint that speaks nothing but HTTP/2, with its certificate; counts its connections.
async fn http2() -> (SocketAddr, String, Came) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap().pem();
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            chain.collect::<Result<_, _>>().unwrap(),
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let came = Came::default();
    let all = came.clone();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, all) = (acceptor.clone(), all.clone());
            let connection = number;
            number += 1;
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = hyper::service::service_fn(move |request: axum::http::Request<_>| {
                    let all = all.clone();
                    async move {
                        assert_eq!(request.version(), Version::HTTP_2);
                        assert_eq!(request.uri().path(), "/hook");
                        let id = request.headers()["ce-id"].to_str().unwrap().to_owned();
                        let body: hyper::body::Incoming = request.into_body();
                        let body = axum::body::to_bytes(Body::new(body), usize::MAX).await;
                        assert_eq!(&body.unwrap()[..], b"1");
                        let mut all = all.lock().unwrap();
                        let request = all.len();
                        all.push((id, connection, request));
                        Ok::<_, Infallible>(axum::http::Response::new(Body::from("thanks")))
                    }
                });
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (address, certificate, came)
}

#[tokio::test]
async fn http2_is_spoken_where_the_endpoint_offers_it() {
    let hub = hub().await;
    let (address, certificate, came) = http2().await;
    hub.topic("t", json!({})).await;
    let push = json!({"url": format!("https://{address}/hook"), "ca_pem": certificate});
    subscribe(&hub, document(push)).await;
    let events: Vec<_> = (0..40).map(|id| event(&id.to_string(), json!(1))).collect();
    hub.accepted("t", &events).await;
    let status = settled(&hub).await;
    assert_eq!(status["counts"]["acknowledged"], 40, "{status}");
    let webhook = webhook_until(&hub, "nothing is under way", |webhook| {
        webhook["in_flight"] == 0
    });
    let webhook = webhook.await;
    assert_eq!(webhook["attempts"][0]["body"], "thanks", "{webhook}");
    assert!(webhook["last_failure"].is_null(), "{webhook}");
    let came = came.lock().unwrap().clone();
    assert_eq!(came.len(), 40);
    let mut connections: Vec<usize> = came.iter().map(|(_, connection, _)| *connection).collect();
    connections.sort_unstable();
    connections.dedup();
    // Those that were dialled before the first was there; the default concurrency is 8.
    assert!(connections.len() <= 8, "{connections:?}");
}
