// The real @segment/analytics-node: all six calls to the debugger at argv[2], with the write key argv[3]; by OAuth if an app's
// id, its key's id and a file with that key follow.
import { readFileSync } from "node:fs";
import { Analytics } from "@segment/analytics-node";

const [host, writeKey, clientId, keyId, keyFile] = process.argv.slice(2);
const oauthSettings = clientId && {
	clientId, keyId, clientKey: readFileSync(keyFile, "utf8"), authServer: host, scope: "tracking_api:write",
};
const analytics = new Analytics({ writeKey, host, flushAt: 6, maxRetries: 3, ...(oauthSettings && { oauthSettings }) });
analytics.on("error", (e) => {
	console.error(e);
	process.exitCode = 1;
});

const context = { integration: { name: "acme-desk", version: "1.0.0" } };
analytics.identify({ userId: "user-1", traits: { email: "ann@example.com" }, context });
analytics.track({ userId: "user-1", event: "Ticket Created", properties: { ticket_id: "T-1" }, context });
analytics.page({ userId: "user-1", name: "Home", context });
analytics.screen({ anonymousId: "anon-1", name: "Start", context });
analytics.group({ userId: "user-1", groupId: "group-1", traits: { name: "Acme" }, context });
analytics.alias({ userId: "user-1", previousId: "anon-1", context });
await analytics.closeAndFlush({ timeout: 30000 });
