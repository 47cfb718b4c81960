# Uploads FILE to ENDPOINT by tuspy in the way of SCENARIO, and prints the
# upload's URL and the offset that a second process would have resumed from.
import os
import sys

from tusclient import client
from tusclient.storage import filestorage

MIB = 1 << 20
scenario, endpoint, file, scratch = sys.argv[1:]
tus = client.TusClient(endpoint)
options = dict(metadata={"filename": "übung.csv", "filetype": "text/csv"}, chunk_size=MIB, retries=0)
if scenario == "whole":
    del options["chunk_size"]
if scenario == "checksum":
    options["upload_checksum"] = True
began = 0
if scenario == "resume":
    urls = filestorage.FileStorage(os.path.join(scratch, "urls.json"))
    options.update(store_url=True, url_storage=urls)
    tus.uploader(file, **options).upload(stop_at=3 * MIB)  # and the process ends
    uploader = tus.uploader(file, **options)
    began = uploader.offset
else:
    uploader = tus.uploader(file, **options)
uploader.upload()
print(uploader.url, began)
