// Runs ONNX models: reads from standard input a JSON list of { model, name, type, shape,
// data }, each with one input as base64, and writes a list of its outputs by name.
const ort = require('onnxruntime-node')

const arrays = { float32: Float32Array, int64: BigInt64Array }

async function run({ model, name, type, shape, data }) {
  const session = await ort.InferenceSession.create(model)
  const bytes = Uint8Array.from(Buffer.from(data, 'base64')).buffer
  const out = await session.run({ [name]: new ort.Tensor(type, new arrays[type](bytes), shape) })
  const all = {}
  for (const [key, y] of Object.entries(out)) {
    const { buffer, byteOffset, byteLength } = y.data
    all[key] = { shape: y.dims, data: Buffer.from(buffer, byteOffset, byteLength).toString('base64') }
  }
  return all
}

async function main() {
  const chunks = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const results = []
  for (const job of JSON.parse(Buffer.concat(chunks))) results.push(await run(job))
  process.stdout.write(JSON.stringify(results))
}

main().catch((e) => {
  console.error(String(e))
  process.exit(1)
})
