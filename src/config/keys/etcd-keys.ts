import type { Key, ListKey } from '../key.ts'
import { oneOf, path, secretText, text } from '../value-kinds.ts'

const open = (means: string) => ({ kind: 'open', means }) as const
const key = <T>(it: Key<T>): Key<T> => it

/** The keys about an etcd that runs already, under Patroni's names. */
export const etcdKeys = {
  protocol: key({
    name: 'etcd.protocol',
    type: oneOf(['http', 'https']),
    fallback: open('`http`'),
    doc: 'How hosts without a scheme of their own are spoken to.',
  }),
  username: key({
    name: 'etcd.username',
    type: text,
    fallback: open('etcd asks for none'),
    doc: 'User of etcd, where it has authentication.',
  }),
  password: key({
    name: 'etcd.password',
    type: secretText,
    secret: true,
    fallback: open('etcd asks for none'),
    doc: 'Its password.',
  }),
  caFile: key({
    name: 'etcd.cacert',
    type: path,
    fallback: open("the system's certificate authorities"),
    doc: "Certificate authority that signed etcd's certificates (PEM).",
  }),
  certFile: key({
    name: 'etcd.cert',
    type: path,
    fallback: open('none'),
    doc: "This node's certificate towards etcd (PEM).",
  }),
  keyFile: key({ name: 'etcd.key', type: path, fallback: open('none'), doc: 'Its key (PEM).' }),
}

export const etcdHostsKey = {
  name: 'etcd.hosts',
  doc: 'Members of an etcd 3.4 or later, `host:2379` each: the state of the cluster lies there, and the built-in consensus does not run. Members of this cluster are then who registers there: `cluster_members` stays empty.',
  item: text,
  fallback: [],
  separator: /\s*[,\s]\s*/,
} satisfies ListKey
