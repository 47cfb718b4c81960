// Uploads FILE to ENDPOINT by Uppy with its tus plugin, in the way of SCENARIO,
// and prints what happened as one line of JSON.
import { readFileSync } from 'node:fs'
import Uppy from '@uppy/core'
import Tus from '@uppy/tus'
import { FileUrlStorage } from 'tus-js-client'

const MIB = 1 << 20
const [scenario, endpoint, file, kept] = process.argv.slice(2)
const content = readFileSync(file)
const requests = [] // each as its method and, of a PATCH, its offset

// A browser keeps the URLs of its uploads in localStorage; here a file has them.
const urlStorage = new FileUrlStorage(kept)

// begin is a page that has just been loaded, with its one file chosen.
function begin(onChunkComplete) {
  const uppy = new Uppy({ logger: { debug() {}, warn: console.error, error: console.error } })
  uppy.use(Tus, {
    endpoint,
    chunkSize: 2 * MIB,
    retryDelays: [0, 200, 1000],
    urlStorage,
    onBeforeRequest: (req) => { requests.push({ method: req.getMethod(), offset: Number(req.getHeader('Upload-Offset') ?? 0) }) },
    onChunkComplete: (...chunk) => onChunkComplete?.(uppy, ...chunk),
  })
  // A Blob of a browser has a size; the plugin takes Node's Buffer in its place.
  uppy.addFile({ name: 'übung.csv', type: 'text/csv', data: Object.assign(content, { size: content.length }), meta: { note: 'kept' } })
  return uppy
}

// finish resolves to the URL of the upload once Uppy says that it is complete.
async function finish(uppy) {
  const { successful, failed } = await uppy.upload()
  if (failed.length > 0) throw new Error(failed[0].error)
  return successful[0].uploadURL
}

// pausing pauses once the second chunk is stored, and then does what comes after.
function pausing(then) {
  let chunks = 2
  return (uppy) => {
    if (--chunks !== 0) return
    uppy.pauseAll()
    setImmediate(then, uppy) // the client has taken notice by then
  }
}

const scenarios = {
  whole: () => finish(begin()),
  pause: () => finish(begin(pausing((uppy) => uppy.resumeAll()))),
  // The page is left in the middle, and its successor finds the upload by its file.
  reload: async () => {
    await new Promise((resolve, reject) => { begin(pausing(resolve)).upload().catch(reject) })
    return finish(begin())
  },
}

const url = await scenarios[scenario]()
console.log(JSON.stringify({ url, requests }))
process.exit(0) // the page that was left is still there
