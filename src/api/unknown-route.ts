import { nearest } from '../std/nearest.ts'
import { visibleText } from '../std/visible-text.ts'
import type { ProblemFields } from './problem.ts'

export type Route = { readonly method: string; readonly path: string }

const PATH_LENGTH_MAX = 100

/** Says whether the path or only the method is wrong, and what was probably meant. */
export function unknownRoute(asked: Route, routes: readonly Route[]): ProblemFields & { allow?: string } {
  const methods = routes.filter((route) => route.path === asked.path).map((route) => route.method)
  if (methods.length > 0) {
    const allow = [...new Set(methods)].toSorted().join(', ')
    return {
      status: 405,
      code: 'API_METHOD_NOT_ALLOWED',
      detail: `Cannot ${visibleText(asked.method, 20)} ${asked.path}: the methods here are ${allow}`,
      allow,
    }
  }
  const paths = new Set(routes.map((route) => route.path))
  const meant = nearest(asked.path.slice(0, PATH_LENGTH_MAX), paths)
  return {
    status: 404,
    code: 'API_ROUTE_UNKNOWN',
    detail: `Cannot find "${visibleText(asked.path, PATH_LENGTH_MAX)}"`,
    remedy:
      meant === undefined ? `The routes are ${[...paths].toSorted().join(', ')}` : `Did you mean "${meant}"?`,
  }
}
