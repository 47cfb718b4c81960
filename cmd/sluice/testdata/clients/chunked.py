"""Sends a CSV file in ten chunks of JSON and waits for its offers, as a client of the
older system did: python3 chunked.py http://127.0.0.1:8080 FILE"""
import concurrent.futures
import csv
import random
import sys
import time
import uuid

import requests

CHUNKS = 10


class Client:
    def __init__(self, base_url):
        self.door = base_url + "/api/financial-transactions/"
        self.http = requests.Session()

    def call(self, method, url, **kwargs):
        answer = self.http.request(method, url, **kwargs)
        if not answer.ok:
            raise SystemExit(f"{answer.status_code}: {answer.json()['error']}")
        return answer.status_code, answer.json()

    def send(self, session, number, data):
        return self.call("POST", self.door + "upload-chunked/", json={
            "chunk_data": data,
            "chunk_number": number,
            "total_chunks": CHUNKS,
            "session_id": session,
            "credit_model_config": {"model_version": "v2.1"},
            "aggregate_config": {"group_by": ["account_id", "date"]},
        })

    def upload(self, rows):
        session, size = str(uuid.uuid4()), -(-len(rows) // CHUNKS)
        chunks = {n: rows[(n - 1) * size:n * size] for n in range(1, CHUNKS + 1)}
        order = random.sample(sorted(chunks), CHUNKS)
        some = order[:CHUNKS // 2]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:  # in parallel, and two of them twice
            for status, told in pool.map(lambda n: self.send(session, n, chunks[n]), some + some[:2]):
                assert status == 202 and told["session_id"] == session, told
        # The client was away, and asks what is missing.
        _, state = self.call("GET", self.door + f"upload-chunked/{session}/")
        assert sorted(state["received"]) == sorted(some), state
        assert sorted(state["missing"] + state["received"]) == sorted(chunks) and state["job_id"] is None
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda n: self.send(session, n, chunks[n]), state["missing"]))
        done = [told for status, told in answers if status == 200]
        assert len(done) == 1 and done[0]["total_transactions"] == len(rows), answers
        status, again = self.send(session, 3, chunks[3])  # whatever is repeated then
        assert status == 200 and again["job_id"] == done[0]["job_id"], again
        return done[0]

    def wait(self, url):
        while True:
            _, status = self.call("GET", url)
            if status["status"] in ("completed", "failed", "aborted"):
                return status
            time.sleep(0.1)


def main(base_url, path):
    client = Client(base_url)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))  # amounts stay texts
    told = client.upload(rows)
    url = requests.compat.urljoin(base_url, told["status_url"])
    status = client.wait(url)
    assert status["status"] == "completed", status
    _, page = client.call("GET", requests.compat.urljoin(base_url, told["offers_url"]))
    summary = page["pipeline_summary"]
    assert summary["transactions_processed"] == len(rows) and summary["rows_rejected"] == 0, summary
    print(told["job_id"])


main(*sys.argv[1:])
