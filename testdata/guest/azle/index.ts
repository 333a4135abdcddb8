// A canister in TypeScript, built by Azle as its documentation says: promises and calls of itself and of the management canister, a
// timer, stable structures, exceptions, and state that an upgrade forgets.
import { call, canisterSelf, IDL, msgCaller, query, setTimer, StableBTreeMap, time, update } from 'azle';
import type { Principal } from 'azle';

export default class {
    counter: bigint = 0n;
    table = new Map<string, bigint>();
    stable = new StableBTreeMap<string, string>(0);

    @update([], IDL.Nat)
    increment(): bigint {
        this.counter += 1n;
        return this.counter;
    }

    @query([], IDL.Nat)
    get(): bigint {
        return this.counter;
    }

    @update([IDL.Text, IDL.Text])
    put(key: string, value: string): void {
        this.stable.insert(key, value);
        this.table.set(key, BigInt(value.length));
    }

    @query([IDL.Text], IDL.Opt(IDL.Text))
    read(key: string): [string] | [] {
        const value = this.stable.get(key);
        return value === undefined ? [] : [value];
    }

    @query([], IDL.Vec(IDL.Tuple(IDL.Text, IDL.Nat)))
    lengths(): [string, bigint][] {
        return [...this.table.entries()];
    }

    @update([], IDL.Nat)
    async twice(): Promise<bigint> {
        const first = await call<[], bigint>(canisterSelf(), 'increment', { returnIdlType: IDL.Nat });
        const second = await call<[], bigint>(canisterSelf(), 'increment', { returnIdlType: IDL.Nat });
        return first + second;
    }

    @update([], IDL.Text)
    async random(): Promise<string> {
        const bytes = await call<[], Uint8Array>('aaaaa-aa', 'raw_rand', { returnIdlType: IDL.Vec(IDL.Nat8) });
        return `${bytes.length} ${Math.random() >= 0} ${Math.sqrt(2)} ${0.1 + 0.2}`;
    }

    @update([IDL.Text])
    fail(text: string): void {
        this.counter += 1000n;
        throw new Error(text);
    }

    @update([])
    later(): void {
        setTimer(0, () => {
            this.counter += 100n;
        });
    }

    @query([], IDL.Nat64)
    now(): bigint {
        return time();
    }

    @query([], IDL.Principal)
    who(): Principal {
        return msgCaller();
    }
}
