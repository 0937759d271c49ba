// A certificate authority for one run: servers trust it and nothing else vouches for them.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
const kNewKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

export class Authority {
  constructor(directory) {
    mkdirSync(directory, { recursive: true });
    this.key = join(directory, "ca.key");
    this.certificate = join(directory, "ca.crt");
    openssl("req", "-x509", ...kNewKey, "-days", "2", "-subj", "/CN=interop authority",
      "-addext", "keyUsage=critical,keyCertSign,cRLSign",
      "-keyout", this.key, "-out", this.certificate);
  }

  // A certificate for a server whose name is an address literal: it must be in the alternative
  // names as an address (server-server API, "Resolving server names", step 1).
  issue(address, directory) {
    const at = (suffix) => join(directory, `tls.${suffix}`);
    openssl("req", "-new", ...kNewKey, "-subj", `/CN=${address}`, "-keyout", at("key"), "-out", at("csr"));
    writeFileSync(at("ext"), `subjectAltName=IP:${address}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    openssl("x509", "-req", "-days", "2", "-in", at("csr"), "-extfile", at("ext"),
      "-CA", this.certificate, "-CAkey", this.key, "-set_serial", String(Date.now()), "-out", at("crt"));
    return { certificate: at("crt"), key: at("key") };
  }
}
