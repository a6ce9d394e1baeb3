//! Which addresses are dialled, and whose certificates are taken.

use super::*;

#[tokio::test]
async fn a_name_of_a_private_address_is_refused_at_the_dial() {
    let mut hub = Hub::start().await;
    let receiver = Receiver::start().await;
    hub.topic("t", json!({})).await;
    let url = format!("http://localhost:{}/hook", receiver.address().port());
    subscribe(&hub, document(json!({"url": url}))).await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    let webhook = webhook_until(&hub, "is not refused", |webhook| {
        webhook["last_failure"]["outcome"] == "denied"
    })
    .await;
    let reason = webhook["last_failure"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("not a public address") && reason.contains("--allow-private-targets"),
        "{reason}"
    );
    assert!(receiver.received().is_empty());

    // Allowed from now on: it is tried again, and arrives.
    hub.stop();
    let folder = hub.folder().to_owned();
    let hub = Hub::start_on(
        &folder,
        options(&["--allow-private-targets=127.0.0.0/8,::1"]),
    )
    .await;
    receiver.requests(1).await;
    settled(&hub).await;
    let elsewhere = document(json!({"url": "http://10.0.0.1/"}));
    let answer = hub.put("/v1/subscriptions/other", elsewhere).await;
    assert_problem(&answer, 422, "invalid-document");
}

#[tokio::test]
async fn a_name_without_an_address_is_tried_again() {
    let hub = hub().await;
    hub.topic("t", json!({})).await;
    subscribe(
        &hub,
        document(json!({"url": "http://nowhere.invalid/hook"})),
    )
    .await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    let webhook = webhook_until(&hub, "finds it", |webhook| {
        webhook["last_failure"]["delivery"].as_u64() >= Some(2)
    })
    .await;
    assert_eq!(webhook["last_failure"]["outcome"], "dns", "{webhook}");
    let receiver = Receiver::start().await;
    let found = document(push_to(&receiver, json!({})));
    let _ = hub.put("/v1/subscriptions/s", found).await.expect(200);
    settled(&hub).await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_named_in_the_document() {
    let hub = hub().await;
    hub.topic("t", json!({})).await;
    // Self-signed, and its own authority, as `openssl req -x509` makes it; and signed by one.
    let own = {
        let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        (
            parameters.self_signed(&key).unwrap().pem(),
            key.serialize_pem(),
        )
    };
    let (authority, signed) = {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let authority = parameters.self_signed(&authority_key).unwrap().pem();
        let issuer = rcgen::Issuer::new(parameters, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        (authority, (certificate.pem(), key.serialize_pem()))
    };
    for (number, (certificate, trusted)) in [(&own, &own.0), (&signed, &authority)]
        .into_iter()
        .enumerate()
    {
        let receiver = Receiver::tls(&certificate.0, &certificate.1, |_| Reply::status(200)).await;
        let untrusted = document(push_to(&receiver, json!({})));
        let put = hub.put("/v1/subscriptions/s", untrusted).await;
        assert!(put.status < 300, "{}", put.text);
        hub.accepted("t", &[event(&number.to_string(), json!(1))])
            .await;
        let webhook = webhook_until(&hub, "is trusted", |webhook| {
            webhook["last_failure"]["outcome"] == "tls"
                && webhook["last_failure"]["event"] == format!("t/0/{number}")
        })
        .await;
        let reason = webhook["last_failure"]["reason"].as_str().unwrap();
        assert!(reason.contains("push.ca_pem"), "{reason}");
        assert!(receiver.received().is_empty());
        let trusting = document(push_to(&receiver, json!({"ca_pem": trusted})));
        let _ = hub.put("/v1/subscriptions/s", trusting).await.expect(200);
        settled(&hub).await;
        assert_eq!(receiver.received().len(), 1);
    }
}
