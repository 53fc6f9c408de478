// The official client, told by one JSON argument what to do; says what happens, a JSON line each.
import Pusher from "pusher-js";

const { host, port, key, token, channels } = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");

const pusher = new Pusher(key, {
  cluster: "",
  wsHost: host,
  wsPort: port,
  forceTLS: false,
  enabledTransports: ["ws"],
  disableStats: true,
  channelAuthorization: {
    transport: "ajax",
    endpoint: `http://${host}:${port}/v1/realtime/pusher-auth`,
    headers: { Authorization: `Bearer ${token}` },
  },
});

pusher.connection.bind("state_change", ({ current }) => say({ state: current }));
pusher.connection.bind("error", ({ data }) => say({ error: data ?? null }));
for (const name of channels) {
  const channel = pusher.subscribe(name);
  channel.bind("pusher:subscription_succeeded", () => say({ subscribed: name }));
  channel.bind("pusher:subscription_error", ({ status }) => say({ refused: name, status }));
  channel.bind_global((event, data) => {
    if (!event.startsWith("pusher:")) say({ event, channel: name, data });
  });
}
process.stdin.on("end", () => process.exit(0)).resume();
