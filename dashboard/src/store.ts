/**
 * A small observable state: one object, replaced as a whole, and a hook that renders on the part it reads.
 */
import { useEffect, useRef, useState } from "preact/hooks";

export interface Store<S> {
  get(): S;
  /** Merges `patch` and tells everybody once. */
  set(patch: Partial<S>): void;
  subscribe(listener: () => void): () => void;
}

export function createStore<S extends object>(initial: S): Store<S> {
  let state = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => state,
    set(patch) {
      state = { ...state, ...patch };
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The selected part of the state; the component renders again only when that part is another value. */
export function useStore<S, T>(store: Store<S>, select: (state: S) => T): T {
  const [, render] = useState<object>();
  const latest = useRef({ select, value: select(store.get()) });
  latest.current = { select, value: select(store.get()) };
  useEffect(() => {
    const check = () => {
      const { select, value } = latest.current;
      if (!Object.is(value, select(store.get()))) render({});
    };
    check();
    return store.subscribe(check);
  }, [store]);
  return latest.current.value;
}
