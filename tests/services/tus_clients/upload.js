// Uploads a file with tus-js-client: stops in the middle, then goes on as another process would.
const fs = require('node:fs')
const tus = require('tus-js-client')

const [endpoint, token, path, mode] = process.argv.slice(2)
const size = fs.statSync(path).size
const shared = {
  endpoint,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename: 'from-node.bin', filetype: 'application/octet-stream' },
  retryDelays: [200, 500, 1000, 2000, 3000, 5000, 5000],
}
const options = {
  chunked: { chunkSize: 1024 * 1024 },
  whole: {},
  'with-creation': { chunkSize: 1024 * 1024, uploadDataDuringCreation: true },
  retried: { chunkSize: 256 * 1024 },
}[mode]

function upload(extra) {
  return new Promise((resolve, reject) => {
    const job = new tus.Upload(fs.createReadStream(path), {
      ...shared,
      ...options,
      ...extra,
      uploadSize: size,
      onError: reject,
      onProgress(sent) {
        if (mode === 'retried') console.log(`PROGRESS ${sent}`)
        if (extra.stopAt && sent >= extra.stopAt) job.abort().then(() => resolve(job))
      },
      onSuccess: ({ lastResponse }) => resolve(lastResponse.getHeader('Upload-Location')),
    })
    job.start()
  })
}

async function main() {
  let uploadUrl
  if (mode === 'chunked' || mode === 'with-creation') {
    const stopped = await upload({ stopAt: size / 2 })
    uploadUrl = stopped.url
    if (!uploadUrl) throw new Error('it was not stopped in the middle')
  }
  console.log(`DONE ${await upload({ uploadUrl })}`)
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
