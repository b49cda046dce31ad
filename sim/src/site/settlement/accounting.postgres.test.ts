/** The tests of accounting.test.ts, on PostgreSQL. */
import t from 'tap'

process.env['AZUKARI_TEST_ENGINE'] = 'PostgreSQL'
if (process.env['AZUKARI_TEST_POSTGRES']) await import('./accounting.test.ts')
else t.pass('no PostgreSQL here', { skip: 'npm test starts one' })
