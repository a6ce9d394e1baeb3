#!/usr/bin/env python3
"""Measures the built examples on a running hub; prints the table of docs/languages.md.

    target/release/sandbar serve --data "$(mktemp -d)" &
    examples/languages/measure.py http://127.0.0.1:7400

Everything goes through `POST /v1/plugins/{name}/versions/{version}/try`, which runs a fresh instance and
stores nothing. The languages take turns, so that what else the machine does hits all of them alike.

first verdict   the HTTP call with one event, from request to answer: start an instance, configure it,
                pass one event
an event alone  `time_ns` of the same call: without the start and without HTTP
events/s        1000 by `time_ns` of a call with 1000 events, each with two lines
memory          `memory_bytes` of that call
"""

import json
import pathlib
import statistics
import sys
import time
import urllib.request

ROUNDS = 15
HERE = pathlib.Path(__file__).parent
LANGUAGES = {"rust": HERE / "../../target/guests/order-invoice.wasm"} | {
    language: HERE / language / "build/plugin.wasm"
    for language in ["c", "assemblyscript", "go", "typescript", "javascript", "python"]
}
CONFIG = {"currency": "EUR", "tax": {"AT": 2000, "DE": 1900}}


def order(number: int) -> dict:
    data = {
        "order": f"A-{number}",
        "status": "paid",
        "customer": {
            "name": "Imke Petersen",
            "email": "imke@example.org",
            "address": {"city": "Husum", "country": "DE"},
        },
        "lines": [
            {"sku": "LAN-7", "title": "Lantern, brass", "quantity": 2, "price": "34.95"},
            {"sku": "ROPE-20", "quantity": number % 7 + 1, "price": "18.50"},
        ],
        "note": "leave it at the lock",
    }
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": "/shop",
        "type": "shop.order.placed",
        "time": "2026-03-01T09:30:00Z",
        "datacontenttype": "application/json",
        "data": data,
    }


def call(method: str, url: str, body: bytes, content_type: str) -> dict:
    request = urllib.request.Request(url, data=body, method=method, headers={"content-type": content_type})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def run(url: str, body: bytes) -> tuple[float, dict]:
    begin = time.perf_counter()
    answer = call("POST", f"{url}/try", body, "application/json")
    seconds = time.perf_counter() - begin
    wrong = [result for result in answer["results"] if result["verdict"] != "emit"]
    assert not wrong, wrong[0]
    return seconds, answer


def main(hub: str) -> None:
    one, many = (
        json.dumps({"config": CONFIG, "events": [order(number) for number in range(count)]}).encode()
        for count in (1, 1000)
    )
    urls, uploads, first, alone, batch, memory = {}, {}, {}, {}, {}, {}
    for language, path in LANGUAGES.items():
        urls[language] = f"{hub}/v1/plugins/measured-{language}/versions/{time.time_ns()}"
        begin = time.perf_counter()
        call("PUT", urls[language], path.read_bytes(), "application/wasm")
        uploads[language] = time.perf_counter() - begin
        first[language], alone[language], batch[language] = [], [], []
    for round in range(ROUNDS):
        print(f"round {round + 1} of {ROUNDS}", file=sys.stderr)
        for language, url in urls.items():
            seconds, answer = run(url, one)
            first[language].append(seconds)
            alone[language].append(answer["time_ns"])
            _, answer = run(url, many)
            batch[language].append(answer["time_ns"])
            memory[language] = answer["memory_bytes"]
    print("| language | size | compiled at upload in | first verdict | an event alone | events/s | memory |")
    print("|---|---|---|---|---|---|---|")
    for language, path in LANGUAGES.items():
        size = path.stat().st_size / 1000
        print(
            f"| {language} | {size:,.0f} KB | {uploads[language]:.1f} s "
            f"| {statistics.median(first[language]) * 1e3:.1f} ms "
            f"| {statistics.median(alone[language]) / 1e6:.2f} ms "
            f"| {1e12 / statistics.median(batch[language]):,.0f} "
            f"| {memory[language] / 1e6:.1f} MB |"
        )


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:7400")
