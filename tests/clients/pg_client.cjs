// Runs the cases through node's pg: parameters in text and (strings) in binary, results in text, prepared and not.
//
// The driver reads every field through UTF-8, which no binary number survives, so results are asked for in text only.
//
//     NODE_PATH=.setup/node/node_modules node pg_client.cjs HOST PORT

const fs = require('node:fs')
const path = require('node:path')
const pg = require('pg')

const TOLERANCE = 1e-6
const BIGINT = 20

// Integers of 64 bits arrive as strings unless told otherwise.
pg.types.setTypeParser(BIGINT, Number)

// A Buffer is sent as a parameter in binary.
const inBinary = (value) => (typeof value === 'string' ? Buffer.from(value) : value)

function same(found, expected) {
  if (Array.isArray(expected)) {
    return Array.isArray(found) && found.length === expected.length && expected.every((value, i) => same(found[i], value))
  }
  if (typeof expected === 'number' && typeof found === 'number') {
    return Math.abs(found - expected) <= TOLERANCE * Math.max(1, Math.abs(expected))
  }
  return found === expected
}

async function main() {
  const [host, port] = process.argv.slice(2)
  const client = new pg.Client({ host, port: Number(port), user: 'alluvia', database: 'alluvia' })
  await client.connect()
  let count = 0
  for (const { sql, parameters, rows } of JSON.parse(fs.readFileSync(path.join(__dirname, 'cases.json'), 'utf8'))) {
    for (const values of [parameters, parameters.map(inBinary)]) {
      for (const name of [undefined, `case ${count}`]) {
        const answer = await client.query({ text: sql, values, rowMode: 'array', name })
        if (!same(answer.rows, rows)) {
          throw new Error(`${sql}\n  expected ${JSON.stringify(rows)}\n  found    ${JSON.stringify(answer.rows)}`)
        }
        count += 1
      }
    }
  }
  await client.end()
  console.log(`pg ${require('pg/package.json').version}: ${count} answers as expected`)
}

main().catch((error) => {
  console.error(error.message)
  process.exit(1)
})
