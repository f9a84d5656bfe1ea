// The connections of all requests of a process: direct or through a proxy, with the operator's CA and certificate.

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { defined } from '../core/optional.ts';
import { type Environment, type LinkProxy, proxyFor } from './proxy-environment.ts';

/** TLS settings as PEM texts. */
interface LinkTls {
  /** The only trusted CAs; missing: those of Node and of NODE_EXTRA_CA_CERTS. */
  readonly ca?: string;
  /** The client's certificate, followed by the chain that the server needs. */
  readonly certificate?: string;
  /** Private key of the certificate; the passphrase decrypts it. */
  readonly key?: string;
  readonly passphrase?: string;
}

export interface LinkOptions extends LinkTls {
  /** Environment with the proxy variables; empty: no request uses a proxy. */
  readonly environment: Environment;
}

export interface Route {
  /** Agent of the route; missing: Node's own. */
  readonly agent?: { readonly http: HttpAgent } | { readonly https: HttpsAgent };
  readonly proxy?: LinkProxy;
}

export class LinkAgents {
  readonly #options: LinkOptions;
  /** Routes by scheme and proxy. */
  readonly #routes = new Map<string, Route>();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get hasCa(): boolean {
    return this.#options.ca !== undefined;
  }

  get hasClientCertificate(): boolean {
    return this.#options.certificate !== undefined;
  }

  /** The route of a request. Throws InputError for a proxy variable with an unusable proxy. */
  route(url: URL): Route {
    const proxy = proxyFor(url, this.#options.environment);
    const key = `${url.protocol} ${proxy?.url.href ?? ''}`;
    let route = this.#routes.get(key);
    if (route === undefined) {
      route = this.#make(url.protocol === 'https:', proxy);
      this.#routes.set(key, route);
    }
    return route;
  }

  #make(secure: boolean, proxy: LinkProxy | undefined): Route {
    const { ca, certificate, key, passphrase } = this.#options;
    // The same options as Node's own agents.
    const common = { keepAlive: true, scheduling: 'lifo', timeout: 5000 } as const;
    const tls = {
      ...defined({ ca, cert: certificate, key, passphrase }),
    };
    const withTls = secure && Object.keys(tls).length > 0;
    if (proxy === undefined && !withTls) return {};
    // The proxy is already chosen for this URL, so the agent sends every request through it.
    const through =
      proxy === undefined
        ? {}
        : { proxyEnv: secure ? { https_proxy: proxy.url.href } : { http_proxy: proxy.url.href } };
    return {
      agent: secure
        ? { https: new HttpsAgent({ ...common, ...tls, ...through }) }
        : { http: new HttpAgent({ ...common, ...through }) },
      ...defined({ proxy }),
    };
  }
}
