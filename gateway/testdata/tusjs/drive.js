// Uploads FILE to ENDPOINT by tus-js-client in the way of SCENARIO, and prints
// what happened as one line of JSON.
import { createReadStream, statSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { Upload } from 'tus-js-client'

const MIB = 1 << 20
const [scenario, endpoint, file] = process.argv.slice(2)
const size = statSync(file).size
let sent = 0 // bytes that left in PATCHes, of all uploads of this run

function upload(options, source = createReadStream(file)) {
  return new Promise((resolve, reject) => {
    const u = new Upload(source, {
      endpoint,
      uploadSize: size,
      metadata: { filename: 'übung.csv', filetype: 'text/csv', note: 'kept' },
      retryDelays: [0, 200, 1000],
      onError: reject,
      onSuccess: () => resolve(u.url),
      onChunkComplete: (chunk) => { sent += chunk; options.onChunk?.(u, resolve, reject) },
      ...options,
    })
    u.start()
  })
}

// stopAfter ends an upload once so many chunks are stored, and resolves to its URL.
function stopAfter(chunks, terminate) {
  return async (u, resolve, reject) => {
    if (--chunks !== 0) return
    const url = u.url
    await u.abort(terminate).then(() => resolve(url), reject)
  }
}

const scenarios = {
  whole: () => upload({}),
  chunks1: () => upload({ chunkSize: MIB }),
  chunks8: () => upload({ chunkSize: 8 * MIB }),
  // A pipe, since of a file the client would declare more bytes than the last chunk has.
  deferred: () => upload({ chunkSize: MIB, uploadSize: null, uploadLengthDeferred: true }, createReadStream(file).pipe(new PassThrough())),
  withCreation: () => upload({ chunkSize: 8 * MIB, uploadDataDuringCreation: true }),
  parallel: () => upload({ parallelUploads: 3, chunkSize: 2 * MIB, uploadSize: null }),
  override: () => upload({ chunkSize: 8 * MIB, overridePatchMethod: true }),
  resume: async () => {
    const url = await upload({ chunkSize: MIB, onChunk: stopAfter(3, false) })
    sent = 0
    return upload({ chunkSize: MIB, uploadUrl: url })
  },
  terminate: () => upload({ chunkSize: MIB, onChunk: stopAfter(2, true) }),
  // As the client's own end-to-end specs do with what they have uploaded.
  terminateComplete: async () => {
    const url = await upload({})
    await Upload.terminate(url)
    return url
  },
}

const url = await scenarios[scenario]()
console.log(JSON.stringify({ url, sent }))
process.exit(0) // an aborted read stream would keep the process
