/**
 * The seeds to run: `PG_METAKO_SIM_SEEDS` of them from `PG_METAKO_SIM_SEED` on; a seed without a number runs alone, and
 * neither means the usual `count` from 1 on.
 */
export function seedsToRun(count: number): { readonly seeds: readonly number[]; readonly isUsual: boolean } {
  const first = process.env['PG_METAKO_SIM_SEED']
  const number = process.env['PG_METAKO_SIM_SEEDS']
  const length = Number(number ?? (first === undefined ? count : 1))
  const seeds = Array.from({ length }, (_, index) => Number(first ?? 1) + index)
  return { seeds, isUsual: first === undefined && length >= count }
}
