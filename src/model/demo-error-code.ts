/** Codes of the demo alone: see `errorCodes`, which has them too. */
export const demoErrorCodes = {
  DEMO_PORT_BUSY: {
    meaning: 'A port of the demo is taken.',
    remedy: 'End the process that the message names, or use `--port-base`.',
  },
  DEMO_FOLDER_FOREIGN: {
    meaning: 'The folder for the demo holds something else, or belongs to somebody else.',
    remedy: 'Name another with `--data`.',
  },
  DEMO_STATE_UNREADABLE: {
    meaning: "The demo's own record, `demo.json`, cannot be read.",
    remedy: "End the demo's processes by hand and delete the folder.",
  },
  DEMO_RUNNING: {
    meaning: 'The demo already runs in this folder.',
    remedy: 'Use it, or end it with `npm run demo:stop`.',
  },
  DEMO_NOT_RUNNING: {
    meaning: 'There is no demo in this folder, or it does not run.',
    remedy: 'Start one with `npm start`.',
  },
  DEMO_NODES_CHANGED: {
    meaning: "The demo's data is of another number of nodes.",
    remedy: 'Leave `--nodes` out, or begin anew with `--fresh`.',
  },
  DEMO_NODE_UNKNOWN: {
    meaning: 'The demo has no node of this number.',
    remedy: 'Name one that `pg-metako list` shows.',
  },
  DEMO_NO_PRIMARY: {
    meaning: 'No agent of the demo knows a primary now.',
    remedy: 'Wait for the cluster to have one again, a few seconds.',
  },
  DEMO_NOTHING_TO_KILL: {
    meaning: 'What should be killed does not run.',
    remedy: 'Look at the live view, and choose something that does.',
  },
  DEMO_AGENT_REFUSED: {
    meaning: 'An agent of the demo refuses its configuration.',
    remedy: 'Read the lines that the message carries; `--fresh` writes new files.',
  },
  DEMO_NOT_READY: {
    meaning: 'The cluster did not become healthy in time.',
    remedy: "Read what the message says of each node, and the logs in the demo's folder.",
  },
  DEMO_NOT_STOPPED: {
    meaning: 'Processes of the demo do not end.',
    remedy: 'End the processes that the message names, and look at the disk.',
  },
} as const
