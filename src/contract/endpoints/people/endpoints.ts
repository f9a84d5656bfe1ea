// The endpoints for people.

import { logIn, logInPage } from './log-in.ts';
import { logOut } from './log-out.ts';
import { auditPage, devicesPage, homePage, vehiclesPage } from './pages.ts';
import { showSession } from './session.ts';

export const PEOPLE_ENDPOINTS = [
  logInPage,
  logIn,
  showSession,
  logOut,
  homePage,
  vehiclesPage,
  devicesPage,
  auditPage,
] as const;
